/** Prepares on threads. A connection stays with the thread that it was given to. */
import { extname } from "node:path";
import { threadHeapMibMax, threadSilenceMsMax } from "../../limits.ts";
import { Lane } from "./lane.ts";
import type { LaneOptions } from "./lane.ts";
import type { Preparer } from "./preparer.ts";

export interface ThreadsOptions extends Pick<LaneOptions, "data" | "log"> {
  readonly count: number;
  readonly script?: URL;
  readonly silenceMsMax?: number;
  readonly heapMibMax?: number;
}

/** In `dist/` it has another extension. */
const thread = new URL(`./thread${extname(import.meta.filename)}`, import.meta.url);

/** Resolves when all threads are ready. @throws where one cannot start */
export async function openThreads(options: ThreadsOptions): Promise<Preparer> {
  const { count, data, log, script = thread } = options;
  const { silenceMsMax = threadSilenceMsMax, heapMibMax = threadHeapMibMax } = options;
  const opening = Array.from({ length: count }, () =>
    Lane.open({ script, silenceMsMax, heapMibMax, data, log }),
  );
  const opened = await Promise.allSettled(opening);
  const lanes = opened.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const close = async (): Promise<void> => {
    await Promise.all(lanes.map((lane) => lane.close()));
  };
  const failed = opened.find((one) => one.status === "rejected");
  if (failed !== undefined) {
    await close();
    throw failed.reason;
  }
  const laneOf = new WeakMap<object, Lane>();
  return {
    prepare(request, connection) {
      let lane = laneOf.get(connection);
      if (lane === undefined) {
        lane = nextLane(lanes);
        laneOf.set(connection, lane);
      }
      return lane.prepare(request);
    },
    close,
  };
}

/** The one with the least to do; where several are idle, each in turn. */
function nextLane(lanes: Lane[]): Lane {
  const least = Math.min(...lanes.map(({ bytes }) => bytes));
  const at = lanes.findIndex(({ bytes }) => bytes === least);
  const [lane] = lanes.splice(at, 1);
  lanes.push(lane!);
  return lane!;
}
