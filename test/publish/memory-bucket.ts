/**
 * A bucket in memory that is stricter than real ones: it counts versions, refuses what no caller
 * should do, and can fail before or after it did what was asked.
 */
import { BucketError, checkKey } from "../../src/publish/bucket/bucket.ts";
import type { Bucket, StoredObject, Version } from "../../src/publish/bucket/bucket.ts";

export type Fault = "lost" | "persisted";

export interface MemoryBucket extends Bucket {
  readonly objects: Map<string, StoredObject>;
  /** Keys in the order of the successful writes. */
  readonly writes: string[];
  /** The write after the next `after` ones fails in this way. */
  failWrite(after: number, fault: Fault): void;
  /** From now on nothing answers. */
  unreachable: boolean;
  /** There is no such bucket. */
  isMissing: boolean;
}

export function memoryBucket(location: string = "memory"): MemoryBucket {
  const objects = new Map<string, StoredObject>();
  const writes: string[] = [];
  let versions = 0;
  let fault: { after: number; kind: Fault } | undefined;

  const reach = (): void => {
    if (bucket.unreachable) throw new BucketError("unreachable", `${location} does not answer`);
  };

  const write = (key: string, bytes: Uint8Array): Version => {
    const due = fault !== undefined && fault.after-- === 0 ? fault.kind : undefined;
    if (due === "lost") throw new BucketError("unreachable", `${key}: the request was lost`);
    if (bytes.length === 0) throw new RangeError(`${key}: nobody writes empty objects`);
    const version = `v${++versions}` as Version;
    objects.set(key, { bytes: Uint8Array.from(bytes), version });
    writes.push(key);
    if (due === "persisted") throw new BucketError("unreachable", `${key}: the answer was lost`);
    return version;
  };

  const bucket: MemoryBucket = {
    location,
    objects,
    writes,
    unreachable: false,
    isMissing: false,
    failWrite: (after, kind) => {
      fault = { after, kind };
    },
    async exists() {
      reach();
      return !bucket.isMissing;
    },
    async read(key) {
      reach();
      return objects.get(checkKey(key));
    },
    async create(key, bytes) {
      reach();
      const present = objects.get(checkKey(key));
      if (present === undefined) write(key, bytes);
      else if (!Buffer.from(present.bytes).equals(bytes)) {
        throw new BucketError("present", `${key} has other bytes`);
      }
    },
    async createTiles(tiles) {
      for await (const { key, bytes } of tiles) await bucket.create(key, bytes);
    },
    async swap(key, bytes, expected) {
      reach();
      if (objects.get(checkKey(key))?.version !== expected) {
        throw new BucketError("conflict", `${key} is another version`);
      }
      return write(key, bytes);
    },
    async isEmpty(prefix) {
      reach();
      const start = `${checkKey(prefix)}/`;
      return ![...objects.keys()].some((key) => key.startsWith(start));
    },
  };
  return bucket;
}
