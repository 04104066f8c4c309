/**
 * Turns the records of one group into the bytes of their lines and the hashes of their leaves. The
 * hot path of the ledger: per record one head text, one MAC, one entry and one leaf hash; bodies are
 * copied as they are. What it writes is what `chain.ts` would encode, only without objects.
 */
import { hash } from "node:crypto";

import { digestBytes, recordIdBytes } from "../audit/prepared-batch.ts";
import { groupLinesBytesMax, lineFrameBytesMax } from "../limits.ts";
import type { Chain, ChainPen } from "./chains.ts";
import { PREFIX } from "./digest.ts";

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
}

const LINE_START = '{"head":';
const LINE_END = 0x7d;
const LINE_FEED = 0x0a;
const entryPrefixBytes = PREFIX.entry.length;
const bufferBytesKept = 32 * 1024 * 1024;

export class GroupWriter {
  /** Lines of the group: the first `length` bytes. */
  lines: Buffer = Buffer.allocUnsafe(1024 * 1024);
  length = 0;
  count = 0;
  /** 32 bytes per record each. */
  entries: Buffer = Buffer.alloc(0);
  leaves: Buffer = Buffer.alloc(0);
  macs: Buffer = Buffer.alloc(0);
  readonly #writerText: string;
  #groupText = "";
  #keyText = "";
  #timeText = "";
  #group = 0;
  readonly #entryInput = Buffer.alloc(entryPrefixBytes + lineFrameBytesMax + digestBytes);
  readonly #leafInput = Buffer.alloc(1 + digestBytes);

  /** `writer`: the ledger's instance as hexadecimal. */
  constructor(writer: string) {
    this.#writerText = `","version":1,"writer":"${writer}"}`;
    this.#entryInput.write(PREFIX.entry, 0, "latin1");
  }

  /** Begins a group of at most `count` records with bodies of at most `bodyBytes` in all. */
  begin(frame: GroupFrame, count: number, bodyBytes: number): void {
    this.#reserve(bodyBytes + count * lineFrameBytesMax, count);
    this.length = 0;
    this.count = 0;
    this.#group = frame.group;
    this.#groupText = `"group":${frame.group},"id":"`;
    this.#keyText = `,"key":"${frame.keyName}","kind":"`;
    this.#timeText = String(frame.time) + this.#writerText;
  }

  /** True where a group of that size can be written at all. */
  static fits(count: number, bodyBytes: number): boolean {
    return bodyBytes + count * lineFrameBytesMax <= groupLinesBytesMax;
  }

  /** Writes record `position` of `source` as the chain's next; `conflictOf` as hexadecimal. */
  add(chain: Chain, pen: ChainPen, record: SourcePosition): void {
    const { lines } = this;
    const headStart = this.length + LINE_START.length;
    const text = LINE_START + this.#headText(chain, pen, record);
    const headEnd = this.length + lines.write(text, this.length, "latin1");
    const head = lines.subarray(headStart, headEnd);
    const mac = pen.mac(head);
    const macAt = this.count * digestBytes;
    this.macs.write(mac, macAt, "latin1");
    const macText = this.macs.toString("hex", macAt, macAt + digestBytes);
    this.#hashLeaf(head, mac);
    let at = headEnd + lines.write(`,"mac":"${macText}","body":`, headEnd, "latin1");
    const { bodies, bodyEnds } = record.source;
    const { position } = record;
    const bodyStart = position === 0 ? 0 : bodyEnds[position - 1]!;
    at += bodies.copy(lines, at, bodyStart, bodyEnds[position]);
    lines[at] = LINE_END;
    lines[at + 1] = LINE_FEED;
    this.length = at + 2;
    this.count++;
    chain.draftSequence++;
    chain.draftMac = macText;
  }

  /** RFC 8785 order of the members, as `encodeHead` writes them. */
  #headText(chain: Chain, pen: ChainPen, record: SourcePosition): string {
    const { source, position, conflictOf } = record;
    const digestAt = position * digestBytes;
    const idAt = position * recordIdBytes;
    const digest = source.digests.toString("hex", digestAt, digestAt + digestBytes);
    const id = source.ids.toString("hex", idAt, idAt + recordIdBytes);
    const conflict = conflictOf === undefined ? "" : `"conflict_of":"${conflictOf}",`;
    return (
      `{"body_digest":"${digest}",${conflict}${this.#groupText}${id}","index":` +
      `${this.#group + this.count}${this.#keyText}${source.kind}${pen.namespaceText}` +
      `${chain.draftMac}","sequence":${chain.draftSequence + 1}${pen.tenantText}${this.#timeText}`
    );
  }

  #hashLeaf(head: Buffer, mac: string): void {
    const input = this.#entryInput;
    head.copy(input, entryPrefixBytes);
    const end = entryPrefixBytes + head.length;
    input.write(mac, end, "latin1");
    const entry = hash("sha256", input.subarray(0, end + digestBytes), "binary");
    this.#leafInput.write(entry, 1, "latin1");
    const at = this.count * digestBytes;
    this.entries.write(entry, at, "latin1");
    this.leaves.write(hash("sha256", this.#leafInput, "binary"), at, "latin1");
  }

  /** The line bytes of the group, a view. */
  written(): Buffer {
    return this.lines.subarray(0, this.length);
  }

  #reserve(bytes: number, count: number): void {
    const oversized = this.lines.length > bufferBytesKept && bytes <= bufferBytesKept;
    if (bytes > this.lines.length || oversized) this.lines = Buffer.allocUnsafe(roundUp(bytes));
    if (count * digestBytes > this.entries.length) {
      this.entries = Buffer.allocUnsafe(roundUp(count * digestBytes));
      this.leaves = Buffer.allocUnsafe(roundUp(count * digestBytes));
      this.macs = Buffer.allocUnsafe(roundUp(count * digestBytes));
    }
  }
}

export interface SourcePosition {
  readonly source: RecordSource;
  readonly position: number;
  readonly conflictOf: string | undefined;
}

function roundUp(bytes: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(bytes, 4096)));
}
