/**
 * Turns the records of one group into the bytes of their lines and the entries of the tree. The hot
 * path of the ledger: per record one head, one MAC and one entry hash; bodies are copied as they
 * are. What it writes is what `chain.ts` would encode, only without objects.
 */
import { digestBytes } from "../audit/prepared-batch.ts";
import { blockBytes, blockMemory } from "../bytes/block-memory.ts";
import { writeHex } from "../bytes/hex.ts";
import { groupLinesBytesMax, lineFrameBytesMax } from "../limits.ts";
import type { Chain, Chains } from "./chains.ts";
import type { GroupFrame, HeadPen, HeadPlace, RecordSource } from "./head-pen.ts";

const LINE_START = Buffer.from('{"head":', "latin1");
const MAC_START = Buffer.from(',"mac":"', "latin1");
const BODY_START = Buffer.from('","body":', "latin1");
const LINE_END = Buffer.from("}\n", "latin1");
const bufferBytesKept = 32 * 1024 * 1024;

export class GroupWriter {
  /** Holds the lines of the group, in `[#start, #end)`. */
  #lines: Buffer = blockMemory(1024 * 1024);
  #start = 0;
  #end = 0;
  count = 0;
  /** 32 bytes per record each. */
  entries: Buffer = Buffer.alloc(0);
  macs: Buffer = Buffer.alloc(0);
  readonly #chains: Chains;
  readonly #place: HeadPlace;

  constructor(chains: Chains) {
    this.#chains = chains;
    const frame = { group: 0, time: 0n, keyName: "", writer: "" };
    const tips = this.macs;
    this.#place = { frame, index: 0, sequence: 0, tips, tipAt: 0, conflictOf: undefined };
  }

  /** Begins a group, which needs that much room. */
  begin(frame: GroupFrame, { count, bodyBytes, position }: GroupRoom): void {
    this.#reserve(blockBytes + bodyBytes + count * lineFrameBytesMax, count);
    // Lines lie in memory as they will in the file.
    this.#start = position % blockBytes;
    this.#end = this.#start;
    this.count = 0;
    this.#place.frame = frame;
  }

  /** True where a group of that size can be written at all. */
  static fits(count: number, bodyBytes: number): boolean {
    return bodyBytes + count * lineFrameBytesMax <= groupLinesBytesMax;
  }

  /** Writes record `position` of `source` as the chain's next; `conflictOf` as hexadecimal. */
  add(chain: Chain, pen: HeadPen, record: SourcePosition): void {
    const lines = this.#lines;
    const { source, position } = record;
    const macAt = this.count * digestBytes;
    pen.write(source, position, this.#placeOf(chain, record.conflictOf));
    pen.mac(this.macs, macAt);
    pen.entry(this.entries, macAt);
    let at = copyBytes(lines, this.#end, LINE_START);
    at = pen.copyTo(lines, at);
    at = copyBytes(lines, at, MAC_START);
    writeHex(lines, at, this.macs, macAt, digestBytes);
    at = copyBytes(lines, at + 2 * digestBytes, BODY_START);
    const bodyStart = position === 0 ? 0 : source.bodyEnds[position - 1]!;
    at += source.bodies.copy(lines, at, bodyStart, source.bodyEnds[position]);
    this.#end = copyBytes(lines, at, LINE_END);
    chain.draftSequence++;
    chain.draftAt = this.count++;
  }

  #placeOf(chain: Chain, conflictOf: string | undefined): HeadPlace {
    const place = this.#place;
    const isFirstOfGroup = chain.draftAt < 0;
    place.index = place.frame.group + this.count;
    place.sequence = chain.draftSequence + 1;
    place.tips = isFirstOfGroup ? this.#chains.macs : this.macs;
    place.tipAt = (isFirstOfGroup ? chain.slot : chain.draftAt) * digestBytes;
    place.conflictOf = conflictOf;
    return place;
  }

  /** Bytes of the lines. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** The lines, a view. */
  written(): Buffer {
    return this.#lines.subarray(this.#start, this.#end);
  }

  #reserve(bytes: number, count: number): void {
    const { length } = this.#lines;
    const isOversized = length > bufferBytesKept && bytes <= bufferBytesKept;
    if (bytes > length || isOversized) this.#lines = blockMemory(roundUp(bytes));
    if (count * digestBytes > this.entries.length) {
      this.entries = Buffer.allocUnsafe(roundUp(count * digestBytes));
      this.macs = Buffer.allocUnsafe(roundUp(count * digestBytes));
    }
  }
}

export interface GroupRoom {
  /** Records at most. */
  readonly count: number;
  /** Bytes of their bodies at most. */
  readonly bodyBytes: number;
  /** Where in its file the group is going to stand, as far as that is known. */
  readonly position: number;
}

export interface SourcePosition {
  readonly source: RecordSource;
  readonly position: number;
  readonly conflictOf: string | undefined;
}

function roundUp(bytes: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(bytes, 4096)));
}

/** A few bytes: a call of `copy` or `set` costs more. Answers where they end. */
function copyBytes(target: Uint8Array, at: number, bytes: Uint8Array): number {
  for (let byte = 0; byte < bytes.length; byte++) target[at + byte] = bytes[byte]!;
  return at + bytes.length;
}
