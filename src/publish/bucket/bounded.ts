/**
 * A bucket whose calls have an end. A network disk that is away may hold a call for ever, and nothing
 * can be done about that one; but whoever waited for it goes on. Nothing more is asked or written
 * before it has returned: no more threads are held, and what takes place late finds nothing that was
 * written since.
 */
import { BucketError } from "./bucket.ts";
import type { Bucket, NewObject } from "./bucket.ts";

export interface BucketBounds {
  /** For the answer to a question. */
  readonly answerMsMax: number;
  /** For the writing of one object; many may take longer, as long as they go on. */
  readonly writeMsMax: number;
}

export function boundedBucket(bucket: Bucket, { answerMsMax, writeMsMax }: BucketBounds): Bucket {
  const { location } = bucket;
  /** What has not returned in time. */
  let unanswered: string | undefined;

  const silent = (doing: string): BucketError =>
    new BucketError("unreachable", `the bucket ${location} has not answered yet (${doing})`);

  const within = async <T>(
    msMax: number,
    doing: string,
    action: (timer: NodeJS.Timeout) => Promise<T>,
  ): Promise<T> => {
    if (unanswered !== undefined) throw silent(unanswered);
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      unanswered = doing;
      late.reject(silent(doing));
    }, msMax);
    const answer = action(timer).finally(() => {
      clearTimeout(timer);
      unanswered = undefined;
    });
    return Promise.race([answer, late.promise]);
  };

  const ask = <T>(doing: string, question: () => Promise<T>): Promise<T> =>
    within(answerMsMax, doing, question);
  const tell = <T>(doing: string, write: () => Promise<T>): Promise<T> =>
    within(writeMsMax, doing, write);

  /** Each object that is asked for shows that one was written; there are none for who was late. */
  async function* goingOn(
    tiles: AsyncIterable<NewObject>,
    timer: NodeJS.Timeout,
  ): AsyncGenerator<NewObject> {
    for await (const tile of tiles) {
      if (unanswered !== undefined) return;
      timer.refresh();
      yield tile;
    }
  }

  return {
    location,
    read: (key) => ask(`reading ${key}`, () => bucket.read(key)),
    exists: () => ask("looking", () => bucket.exists()),
    isEmpty: (prefix) => ask(`listing ${prefix}`, () => bucket.isEmpty(prefix)),
    create: (key, bytes) => tell(`writing ${key}`, () => bucket.create(key, bytes)),
    createTiles: (tiles) =>
      within(writeMsMax, "writing tiles", (timer) => bucket.createTiles(goingOn(tiles, timer))),
    swap: (key, bytes, expected) =>
      tell(`replacing ${key}`, () => bucket.swap(key, bytes, expected)),
  };
}
