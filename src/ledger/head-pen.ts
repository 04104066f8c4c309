/**
 * Writes the heads of one chain. The head stands in memory between what is hashed before it and room
 * for its MAC; from record to record only digits change, in place, so that no text is made of it.
 */
import type { ChainName } from "../audit/prepared-batch.ts";
import { recordIdBytes } from "../audit/prepared-batch.ts";
import { copyBytes } from "../bytes/copy.ts";
import { writeHex } from "../bytes/hex.ts";
import { sha256Latin1 } from "../bytes/sha256.ts";
import { digestBytes, PREFIX } from "./digest.ts";
import {
  innerFrame,
  innerFrameBytes,
  OuterHash,
  writeInnerKey,
  writeLatin1,
} from "./record-mac.ts";

/** Prepared records of one kind, packed; see `PreparedBatch`. */
export interface RecordSource {
  readonly kind: string;
  readonly ids: Buffer;
  readonly digests: Buffer;
  readonly bodies: Buffer;
  readonly bodyEnds: Uint32Array;
}

/** What all heads of a group share. */
export interface GroupFrame {
  /** Index of the group's first record. */
  readonly group: number;
  readonly time: bigint;
  readonly keyName: string;
  /** The ledger's instance as hexadecimal. */
  readonly writer: string;
}

/** Where a record stands: one object, changed from record to record. */
export interface HeadPlace {
  frame: GroupFrame;
  index: number;
  sequence: number;
  /** MAC of the record before in the chain, at `tips[tipAt]`. */
  tips: Uint8Array;
  tipAt: number;
  /** MAC of the record that this one contradicts, as hexadecimal. */
  conflictOf: string | undefined;
}

const entryPrefix = Buffer.from(PREFIX.entry, "latin1");
const recordPrefix = Buffer.from(PREFIX.record, "latin1");
const recordPrefixAt = innerFrameBytes - recordPrefix.length;
const entryPrefixAt = innerFrameBytes - entryPrefix.length;
const ZERO = 0x30;
const hexOf = (bytes: number): string => "0".repeat(2 * bytes);

export class HeadPen {
  #name: ChainName = { namespace: "", tenant: "" };
  readonly #outer = new OuterHash();
  /** Padded key and prefix, head, MAC. */
  #buffer: Buffer = innerFrame(innerFrameBytes);
  #macInput: Buffer = this.#buffer;
  #entryInput: Buffer = this.#buffer;
  #headEnd: number = innerFrameBytes;
  /** What the template is made for. */
  #frame: GroupFrame | undefined;
  #kind = "";
  #conflictOf: string | undefined;
  /** Numbers have the width that they had when the template was made. */
  #indexMax = 0;
  #sequenceMax = 0;
  #digestAt = 0;
  #idAt = 0;
  #indexEnd = 0;
  #previousAt = 0;
  #sequenceEnd = 0;

  /** Later heads are of that chain, under the 32-byte key at `keys[keyAt]`. */
  use(name: ChainName, keys: Uint8Array, keyAt: number): void {
    this.#name = name;
    this.#frame = undefined;
    writeInnerKey(this.#buffer, keys, keyAt);
    this.#outer.useKey(keys, keyAt);
  }

  get headBytes(): number {
    return this.#headEnd - innerFrameBytes;
  }

  /** Makes the head of record `position` of `source`. */
  write(source: RecordSource, position: number, place: HeadPlace): void {
    if (!this.#fits(source.kind, place)) this.#begin(source.kind, place);
    const buffer = this.#buffer;
    writeHex(buffer, this.#digestAt, source.digests, position * digestBytes, digestBytes);
    writeHex(buffer, this.#idAt, source.ids, position * recordIdBytes, recordIdBytes);
    writeHex(buffer, this.#previousAt, place.tips, place.tipAt, digestBytes);
    writeNumber(buffer, this.#indexEnd, place.index);
    writeNumber(buffer, this.#sequenceEnd, place.sequence);
  }

  #fits(kind: string, place: HeadPlace): boolean {
    return (
      place.frame === this.#frame &&
      place.index <= this.#indexMax &&
      place.sequence <= this.#sequenceMax &&
      kind === this.#kind &&
      place.conflictOf === this.#conflictOf
    );
  }

  /** RFC 8785 order of the members, as `encodeHead` writes them. */
  #begin(kind: string, place: HeadPlace): void {
    const { frame, conflictOf } = place;
    const conflict = conflictOf === undefined ? "" : `"conflict_of":"${conflictOf}",`;
    const parts = [
      '{"body_digest":"',
      `${hexOf(digestBytes)}",${conflict}"group":${frame.group},"id":"`,
      `${hexOf(recordIdBytes)}","index":${place.index}`,
      `,"key":"${frame.keyName}","kind":"${kind}","namespace":"${this.#name.namespace}",` +
        '"previous_mac":"',
      `${hexOf(digestBytes)}","sequence":${place.sequence}`,
      `,"tenant":"${this.#name.tenant}","time":"${frame.time}","version":1,"writer":"${frame.writer}"}`,
    ];
    const ends: number[] = [];
    let end = innerFrameBytes;
    for (const part of parts) ends.push((end += part.length));
    this.#reserve(end);
    this.#buffer.write(parts.join(""), innerFrameBytes, "latin1");
    [this.#digestAt, this.#idAt, this.#indexEnd, this.#previousAt, this.#sequenceEnd] = ends as [
      number,
      number,
      number,
      number,
      number,
    ];
    this.#frame = frame;
    this.#kind = kind;
    this.#conflictOf = conflictOf;
    this.#indexMax = 10 ** String(place.index).length - 1;
    this.#sequenceMax = 10 ** String(place.sequence).length - 1;
  }

  #reserve(headEnd: number): void {
    if (headEnd === this.#headEnd) return;
    const bytes = headEnd + digestBytes;
    if (bytes > this.#buffer.length) {
      const frame = this.#buffer.subarray(0, innerFrameBytes);
      this.#buffer = Buffer.alloc(bytes);
      this.#buffer.set(frame);
    }
    this.#headEnd = headEnd;
    this.#macInput = this.#buffer.subarray(0, headEnd);
    this.#entryInput = this.#buffer.subarray(entryPrefixAt, bytes);
  }

  /** Writes the head's MAC to `target`, 32 bytes. */
  mac(target: Uint8Array, at: number): void {
    const buffer = this.#buffer;
    copyBytes(recordPrefix, 0, buffer, recordPrefixAt, recordPrefix.length);
    const mac = this.#outer.of(sha256Latin1(this.#macInput));
    writeLatin1(target, at, mac);
    writeLatin1(buffer, this.#headEnd, mac);
  }

  /** Writes the tree entry of head and MAC to `target`, 32 bytes. */
  entry(target: Uint8Array, at: number): void {
    copyBytes(entryPrefix, 0, this.#buffer, entryPrefixAt, entryPrefix.length);
    writeLatin1(target, at, sha256Latin1(this.#entryInput));
  }

  /** Copies the head; answers where it ends. */
  copyTo(target: Buffer, at: number): number {
    return at + this.#buffer.copy(target, at, innerFrameBytes, this.#headEnd);
  }
}

/** Writes decimal digits that end before `end`. */
function writeNumber(target: Uint8Array, end: number, value: number): void {
  let rest = value;
  let at = end;
  do {
    const tenth = Math.floor(rest / 10);
    target[--at] = ZERO + rest - tenth * 10;
    rest = tenth;
  } while (rest > 0);
}
