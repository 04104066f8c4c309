/**
 * What publishing needs of a bucket: an object store, or a directory that behaves like one. Three
 * verbs and a question. A bucket is trusted with availability only: whoever holds it can withhold
 * or roll back what is in it, and the checkpoints' signatures and the ledger show that.
 *
 * Keys are relative paths of `[A-Za-z0-9._~-]` segments divided by single slashes. Objects under one
 * key are written whole: a reader sees all of an object or none of it. Only tiles may be seen torn,
 * until `createTiles` returned: no checkpoint speaks for them before.
 */
import { CodedError } from "../../bytes/coded-error.ts";

export type BucketErrorCode =
  /** The key holds other bytes, and will for ever. */
  | "present"
  /** The object is not the one that the swap expected: somebody else wrote it. */
  | "conflict"
  /** Nothing is known: the bucket may or may not have done what was asked. May pass later. */
  | "unreachable";

export class BucketError extends CodedError<BucketErrorCode> {
  override name = "BucketError";
}

/** Names one state of an object. Opaque: an ETag, a digest; it never leaves its bucket. */
export type Version = string & { readonly brand: unique symbol };

export interface StoredObject {
  readonly bytes: Uint8Array;
  readonly version: Version;
}

export interface NewObject {
  readonly key: string;
  readonly bytes: Uint8Array;
}

export interface Bucket {
  /** Where it is, for messages and to tell one bucket from another. Holds no secret. */
  readonly location: string;

  /**
   * The newest object under `key`, undefined where there is none. Reads follow writes: what
   * `create` or `swap` returned for is seen. @throws BucketError `unreachable`.
   */
  read(key: string): Promise<StoredObject | undefined>;

  /**
   * Writes an object that never changes. Durable on return. Where the key holds the same bytes
   * this returns as well, so that a write whose answer was lost can be repeated.
   *
   * @throws BucketError `present` where the key holds other bytes, `unreachable`.
   */
  create(key: string, bytes: Uint8Array): Promise<void>;

  /**
   * Creates many objects whose bytes follow from their keys and the log: as `create`, but in any
   * order, several at once, and what a killed process left torn is completed. All are durable on
   * return. After a rejection some are there; nothing goes on.
   *
   * @throws BucketError `present`, `unreachable`; what `tiles` throws.
   */
  createTiles(tiles: AsyncIterable<NewObject>): Promise<void>;

  /**
   * Replaces the object under `key` if it still is `expected` (undefined: if there is none yet).
   * Durable on return. Of several writers that expect the same version at most one succeeds.
   *
   * @returns the new object's version.
   * @throws BucketError `conflict`, `unreachable`. After `unreachable` the caller reads what is
   * there before it swaps again.
   */
  swap(key: string, bytes: Uint8Array, expected: Version | undefined): Promise<Version>;

  /** False where there is no such bucket, so that it holds nothing either. @throws BucketError. */
  exists(): Promise<boolean>;

  /** True where no key begins with `prefix` and a slash. @throws BucketError `unreachable`. */
  isEmpty(prefix: string): Promise<boolean>;
}

/** @throws RangeError for a key that could mean a place outside of the bucket. */
export function checkKey(key: string): string {
  const segments = key.split("/");
  const wrong = segments.some((segment) => !/^[A-Za-z0-9_~-][A-Za-z0-9._~-]*$/.test(segment));
  if (wrong) throw new RangeError(`not a key of a bucket: ${JSON.stringify(key)}`);
  return key;
}
