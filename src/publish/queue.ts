/**
 * What is published and what waits to be, kept in the folder `publish/` of the ledger: a cursor that
 * says what the bucket has, and each signed root that it lacks, as a file. A root is queued durably
 * before the first attempt, so no outage and no restart loses one.
 */
import { join } from "node:path";
import { isCode } from "../bytes/thrown.ts";
import { canonicalize, parseCanonical } from "../bytes/canonical-json.ts";
import { decodeUtf8Lossy, encodeUtf8 } from "../bytes/utf8.ts";
import { sha256Hex } from "../bytes/sha256.ts";
import { equalBytes } from "../ledger/digest.ts";
import type { Files } from "../ledger/files.ts";
import { PublishError } from "./publish-error.ts";

const fileMode = 0o600;
const directoryMode = 0o700;
const cursorName = "cursor.json";

/** A signed root as it was persisted. */
export interface SignedRoot {
  readonly size: number;
  /** The signed note, byte for byte. */
  readonly note: Uint8Array;
}

export interface Cursor {
  /** `location` of the bucket that this is about. */
  readonly bucket: string;
  /** The newest root that the bucket has; 0 where the place in the bucket is claimed only. */
  readonly size: number;
  /** SHA-256 of its note, hexadecimal; absent where size is 0. */
  readonly digest?: string;
}

export class PublishQueue {
  readonly #directory: string;
  readonly #files: Files;
  #cursor: Cursor | undefined;
  #pending: SignedRoot[];

  private constructor(
    place: { readonly directory: string; readonly files: Files },
    cursor: Cursor | undefined,
    pending: SignedRoot[],
  ) {
    this.#directory = place.directory;
    this.#files = place.files;
    this.#cursor = cursor;
    this.#pending = pending;
  }

  /** `directory` is the ledger's. A cursor of another bucket than `bucket` says nothing. */
  static async open(directory: string, files: Files, bucket: string): Promise<PublishQueue> {
    const place = { directory: join(directory, "publish"), files };
    await files.makeDirectory(place.directory, directoryMode);
    const cursor = await readCursor(place.directory, files);
    const pending: SignedRoot[] = [];
    for (const name of await files.list(place.directory)) {
      const match = /^(\d{16})\.checkpoint$/.exec(name);
      if (match === null) continue;
      const note = await files.read(join(place.directory, name));
      pending.push({ size: Number(match[1]), note });
    }
    const known = cursor?.bucket === bucket ? cursor : undefined;
    const queue = new PublishQueue(place, known, pending);
    await queue.#drop();
    return queue;
  }

  /** What the bucket has; undefined before anything was written to it. */
  get cursor(): Cursor | undefined {
    return this.#cursor;
  }

  /** The roots that the bucket lacks, smallest first. */
  get pending(): readonly SignedRoot[] {
    return this.#pending;
  }

  /** The size of the newest root that was ever queued or published; 0 before the first. */
  get newestSize(): number {
    return this.#pending.at(-1)?.size ?? this.#cursor?.size ?? 0;
  }

  /** Queues a root durably. A root that is published or queued already is left alone. */
  async add(root: SignedRoot): Promise<void> {
    const same = this.#pending.find(({ size }) => size === root.size);
    if (same !== undefined && !equalBytes(same.note, root.note)) {
      throw new PublishError("forked", `there are two signed roots of size ${root.size}`, {
        remedy: "run spanseal verify, then restart",
      });
    }
    if (root.size <= this.newestSize) return;
    await this.#files.createExclusive(this.#path(root.size), root.note, fileMode);
    this.#pending.push(root);
  }

  /** Notes durably that the bucket belongs to this log, before the first write to it. */
  async claim(bucket: string): Promise<void> {
    await this.#save({ bucket, size: 0 });
  }

  /** Notes durably that the bucket has `root`. */
  async advance(bucket: string, root: SignedRoot): Promise<void> {
    await this.#save({ bucket, size: root.size, digest: sha256Hex(root.note) });
    await this.#drop();
  }

  /**
   * Forgets the roots that the cursor covers, also those that an earlier attempt left behind:
   * published again, an older one would take the place of a newer.
   */
  async #drop(): Promise<void> {
    const publishedSize = this.#cursor?.size ?? 0;
    const covered = this.#pending.filter(({ size }) => size <= publishedSize);
    this.#pending = this.#pending.filter(({ size }) => size > publishedSize);
    for (const { size } of covered) {
      try {
        await this.#files.remove(this.#path(size));
      } catch (error) {
        if (!isCode(error, "ENOENT")) throw error;
      }
    }
  }

  async #save(cursor: Cursor): Promise<void> {
    const bytes = encodeUtf8(canonicalize({ ...cursor }));
    await this.#files.replace(join(this.#directory, cursorName), bytes, fileMode);
    this.#cursor = cursor;
  }

  #path(size: number): string {
    return join(this.#directory, `${String(size).padStart(16, "0")}.checkpoint`);
  }
}

/** A cursor that cannot be read is no cursor: the bucket itself is asked instead. */
async function readCursor(directory: string, files: Files): Promise<Cursor | undefined> {
  try {
    const bytes = await files.read(join(directory, cursorName));
    const value = parseCanonical(decodeUtf8Lossy(bytes)) as unknown as Cursor | null;
    const wellFormed = typeof value?.bucket === "string" && Number.isSafeInteger(value.size);
    return wellFormed ? value : undefined;
  } catch (error) {
    if (isCode(error, "ENOENT") || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
