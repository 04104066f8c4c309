/**
 * A bucket whose questions have an end. A network disk that is away may hold a call for ever, and
 * nothing can be done about that one; but whoever asked goes on, and nobody asks again before it has
 * returned, so that no more than one thread is held. A write has no bound: one that was given up
 * could still take place later, over what was written since.
 */
import { BucketError } from "./bucket.ts";
import type { Bucket } from "./bucket.ts";

export function boundedBucket(bucket: Bucket, answerMsMax: number): Bucket {
  const { location } = bucket;
  /** What has not been answered in time. */
  let unanswered: string | undefined;

  const silent = (doing: string): BucketError =>
    new BucketError("unreachable", `the bucket ${location} has not answered yet (${doing})`);

  const ask = async <T>(doing: string, question: () => Promise<T>): Promise<T> => {
    if (unanswered !== undefined) throw silent(unanswered);
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      unanswered = doing;
      late.reject(silent(doing));
    }, answerMsMax);
    const answer = question().finally(() => {
      clearTimeout(timer);
      unanswered = undefined;
    });
    return Promise.race([answer, late.promise]);
  };

  const tell = async <T>(write: () => Promise<T>): Promise<T> => {
    if (unanswered !== undefined) throw silent(unanswered);
    return write();
  };

  return {
    location,
    read: (key) => ask(`reading ${key}`, () => bucket.read(key)),
    exists: () => ask("looking", () => bucket.exists()),
    isEmpty: (prefix) => ask(`listing ${prefix}`, () => bucket.isEmpty(prefix)),
    create: (key, bytes) => tell(() => bucket.create(key, bytes)),
    createTiles: (tiles) => tell(() => bucket.createTiles(tiles)),
    swap: (key, bytes, expected) => tell(() => bucket.swap(key, bytes, expected)),
  };
}
