/** Prepares on threads. A connection stays with the thread that it was given to. */
import { extname } from "node:path";
import { queueTimeMsMax, threadHeapMibMax, threadSilenceMsMax } from "../../limits.ts";
import type { Sender } from "../../ingest/turns.ts";
import { Lane } from "./lane.ts";
import type { LaneBounds, LaneOptions } from "./lane.ts";
import type { Preparer } from "./preparer.ts";

export interface ThreadsOptions extends Pick<LaneOptions, "data" | "log"> {
  readonly count: number;
  readonly script?: URL;
  readonly bounds?: Partial<LaneBounds>;
}

const defaultBounds: LaneBounds = {
  queueTimeMsMax,
  silenceMsMax: threadSilenceMsMax,
  heapMibMax: threadHeapMibMax,
};

/** A connection, and its thread. */
interface Seat {
  readonly lane: Lane;
  readonly sender: Sender;
}

/** In `dist/` it has another extension. */
const thread = new URL(`./thread${extname(import.meta.filename)}`, import.meta.url);

/** Resolves when all threads are ready. @throws where one cannot start */
export async function openThreads(options: ThreadsOptions): Promise<Preparer> {
  const { count, data, log, script = thread } = options;
  const bounds = { ...defaultBounds, ...options.bounds };
  const opening = Array.from({ length: count }, () => Lane.open({ script, bounds, data, log }));
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
  const seats = new WeakMap<object, Seat>();
  return {
    prepare(request, connection) {
      let seat = seats.get(connection);
      if (seat === undefined) {
        seat = { lane: nextLane(lanes), sender: { served: 0 } };
        seats.set(connection, seat);
      }
      return seat.lane.prepare(request, seat.sender);
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
