/**
 * The walk over all records in order. Each record is held against its key, its body, its chain and
 * the records before it; what it says about the log itself goes to `SystemRecords`.
 */
import { chainsMax, lineFrameBytesMin, missingLeavesMax } from "../../limits.ts";
import { epochOf } from "../chain.ts";
import { equalBytes } from "../digest.ts";
import { holdsText, type ScannedLine } from "../line.ts";
import { TreeEdge } from "../tree.ts";
import { VerifiedChains, type ChainState } from "./chains.ts";
import { HashedLine, hashLines, linesAtOnce } from "./hashed-line.ts";
import type { ChainKeySource } from "./keys.ts";
import type { NoteVerifier } from "../note.ts";
import { Ordering, placeOf, type LinePlace, type LineView } from "./ordering.ts";
import {
  messageOf,
  type Counts,
  type FailureClass,
  type Findings,
  type Problem,
} from "./report.ts";
import { SystemRecords } from "./system-records.ts";

export interface WalkOptions {
  readonly descriptorDigest: Uint8Array;
  /** The ledger's instance as hexadecimal. */
  readonly writer: string;
  /** The log key that the descriptor names. */
  readonly logKey: NoteVerifier;
  readonly keys: ChainKeySource | undefined;
  readonly findings: Findings;
  readonly counts: Counts;
  /** Called when the tree has reached a size, with the last line of it if it stands in place. */
  onSize(size: number, last: ScannedLine | undefined): void;
}

type MacState = "good" | "bad" | "unknown";

const emptySlot = Buffer.alloc(32);
const noBytes = Buffer.alloc(0);

export class Walk {
  readonly tree: TreeEdge = new TreeEdge();
  readonly system: SystemRecords;
  readonly #options: WalkOptions;
  readonly #findings: Findings;
  readonly #counts: Counts;
  readonly #chains: VerifiedChains;
  readonly #ordering: Ordering;
  /** Records that are missing or unreadable and were not found to be of some chain. */
  #unaccounted = 0;
  /** Places of missing records that the tree may still be filled up with; below 0 it has ended. */
  #leavesLeft = missingLeavesMax;
  /** Undefined where the record before is missing or damaged. */
  #previousGroup: number | undefined = 0;
  readonly #previousTime = new LineTime();
  readonly #time = new LineTime();
  /** The key name that the next record must carry; undefined before the first. */
  #keyName: string | undefined;
  #keyText = noBytes;
  #epoch = 0;
  /** True where the key in use is another than the one that was given for its epoch. */
  #isForeignKey = false;
  readonly #writerText: Buffer;
  /** Lines that were read and wait for their turn, with room for as many as there may be. */
  readonly #waiting: LineView[] = [];
  readonly #lines = Array.from({ length: linesAtOnce }, () => new HashedLine());
  /** Records whose MAC no key could check. */
  unknownMacs = 0;

  constructor(options: WalkOptions) {
    this.#options = options;
    this.#writerText = Buffer.from(options.writer, "latin1");
    this.#findings = options.findings;
    this.#counts = options.counts;
    this.#chains = new VerifiedChains(options.descriptorDigest, options.keys);
    this.system = new SystemRecords({
      descriptorDigest: options.descriptorDigest,
      logKey: options.logKey,
      keys: options.keys,
      counts: options.counts,
      chains: this.#chains,
    });
    this.#ordering = new Ordering(
      {
        accept: (view) => this.#accept(view),
        vacate: (count) => this.#vacate(count),
        isGenuine: (view) => this.#isGenuine(view),
        continuesChain: ({ scanned }) => this.#chains.continues(scanned),
      },
      options.findings,
    );
  }

  /** Index that the next line in place has. */
  get expectedIndex(): number {
    return this.#ordering.expected;
  }

  /**
   * Takes the next line, which waits for others up to the next call of `settle`: until then its bytes
   * must hold. Returns the index that it states; undefined where it is none.
   */
  line(
    bytes: Buffer,
    bounds: { start: number; end: number },
    place: LinePlace,
  ): number | undefined {
    const { start, end } = bounds;
    this.#counts.lines++;
    const scanned = this.#scan(bytes, start, end, place);
    if (scanned === undefined) return undefined;
    this.#waiting.push({ bytes, start, end, scanned, place });
    if (this.#waiting.length === linesAtOnce) this.settle();
    return scanned.index;
  }

  /** Looks at the lines that were taken. */
  settle(): void {
    const waiting = this.#waiting;
    hashLines(this.#lines, waiting.length);
    this.#chains.foresee(this.#lines, waiting.length);
    for (const view of waiting) this.#ordering.next(view);
    waiting.length = 0;
  }

  #scan(bytes: Buffer, start: number, end: number, place: LinePlace): HashedLine | undefined {
    // Line feeds alone come by the million: to throw for each would take minutes.
    if (end - start < lineFrameBytesMin) return this.#unreadable(place, "too short for a record");
    try {
      return this.#lines[this.#waiting.length]!.scan(bytes, start, end);
    } catch (error) {
      return this.#unreadable(place, messageOf(error));
    }
  }

  #unreadable({ segment, line, order }: LinePlace, detail: string): undefined {
    this.settle();
    const place = { segment, line, index: this.#ordering.expected };
    this.#ordering.unreadable();
    this.#findings.add({ class: "malformed", place, detail }, order);
  }

  end(): void {
    this.settle();
    this.#ordering.end();
    this.#counts.records = this.#ordering.expected;
    this.#counts.chains = this.#chains.count;
  }

  #accept(view: LineView): void {
    const { scanned } = view;
    const problem = this.#verifyRecord(view);
    if (problem !== undefined) this.#fail(view, problem.class, problem.detail);
    this.#previousGroup = problem === undefined ? scanned.group : undefined;
    if (problem === undefined) this.#previousTime.take(this.#time);
    if (scanned.isAction) this.#counts.actions++;
    if (this.#leavesLeft < 0) return;
    this.tree.append(scanned.entry, 1);
    this.#options.onSize(this.tree.size, scanned);
  }

  #vacate(count: number): void {
    this.#unaccounted += count;
    this.#previousGroup = undefined;
    this.system.disturb();
    this.#leavesLeft -= count;
    if (this.#leavesLeft < 0) return;
    for (let slot = 0; slot < count; slot++) {
      this.tree.append(emptySlot, 1);
      this.#options.onSize(this.tree.size, undefined);
    }
  }

  /** The first thing that is wrong with a record in its place. */
  #verifyRecord(view: LineView): Problem | undefined {
    const { scanned } = view;
    const key = this.#verifyKey(scanned);
    const chain = this.#chains.open(scanned, this.#epoch);
    if (chain === undefined) return { class: "malformed", detail: tooManyChains };
    const body = this.#verifyBody(scanned);
    const mac = this.#verifyMac(scanned, chain, key === undefined);
    const inChain = this.#verifyPlaceInChain(scanned, chain, mac);
    const problem =
      this.#verifyWriter(scanned) ?? key ?? body ?? inChain.problem ?? this.#verifyOrder(scanned);
    if (mac === "bad") this.system.disturb();
    const control = this.system.verify(view, problem === undefined);
    if (inChain.advances) this.#chains.advance(chain, scanned);
    if (inChain.advances && mac === "bad") chain.computedTip = Uint8Array.from(scanned.computedMac);
    const rotated = this.system.takeRotation();
    const foreign = rotated === undefined ? undefined : this.#enterKey(rotated);
    return problem ?? control ?? foreign;
  }

  #verifyWriter(line: ScannedLine): Problem | undefined {
    const { bytes, writerAt } = line;
    if (holdsText(bytes, writerAt, writerAt + this.#writerText.length, this.#writerText)) {
      return undefined;
    }
    return { class: "spliced", detail: `the record names another ledger as its writer` };
  }

  #verifyKey(line: ScannedLine): Problem | undefined {
    if (holdsText(line.bytes, line.keyAt, line.keyEnd, this.#keyText)) return undefined;
    const expected = this.#keyName;
    if (expected === undefined) return this.#enterKey(line.key);
    // The record that announced the key may be among those that are damaged.
    const isDamaged = this.#findings.lineTotal > 0 || this.#unaccounted > 0;
    if (isDamaged && epochOf(line.key) > this.#epoch) return this.#enterKey(line.key);
    return { class: "wrong_key", detail: `expected key ${expected}, received ${line.key}` };
  }

  #enterKey(name: string): Problem | undefined {
    this.#keyName = name;
    this.#keyText = Buffer.from(name, "latin1");
    this.#epoch = epochOf(name);
    const known = this.#options.keys?.nameOf(this.#epoch);
    this.#isForeignKey = known !== undefined && known !== name;
    if (!this.#isForeignKey) return undefined;
    const detail = `records are under key ${name} from here on, the key that was given is ${known}`;
    return { class: "wrong_key", detail };
  }

  #verifyBody(scanned: HashedLine): Problem | undefined {
    if (scanned.bodyStart < 0) {
      const detail = "the body is missing, and no record says that it was erased";
      return { class: "altered", detail };
    }
    if (!scanned.isBodyTheirs) {
      return { class: "altered", detail: "the body is not the one whose digest the head holds" };
    }
    if (scanned.isBodyCanonical) return undefined;
    return { class: "malformed", detail: "the body is not a canonical JSON object" };
  }

  #verifyMac(line: HashedLine, chain: ChainState, isNamedKey: boolean): MacState {
    if (!chain.hasKey || this.#isForeignKey || !isNamedKey) {
      this.unknownMacs++;
      return "unknown";
    }
    this.#counts.macs++;
    return equalBytes(this.#chains.macOf(chain, line), line.macBytes) ? "good" : "bad";
  }

  #verifyPlaceInChain(line: ScannedLine, chain: ChainState, mac: MacState): ChainStep {
    const follows = this.#chains.follows(chain, line);
    const missing = line.sequence - chain.sequence - 1;
    if (mac === "bad") {
      const advances = missing === 0 && follows;
      if (!advances) this.#unaccounted++;
      return { problem: badMac(line, chain, follows), advances };
    }
    if (missing === 0) {
      const problem = follows ? undefined : badPredecessor(chain, mac);
      return { problem, advances: true };
    }
    if (missing < 0) {
      const detail = `sequence ${line.sequence} of the chain stands after ${chain.sequence}`;
      return { problem: { class: "duplicate", detail }, advances: false };
    }
    if (missing <= this.#unaccounted) {
      this.#unaccounted -= missing;
      return { problem: undefined, advances: true };
    }
    const detail = `the chain goes from sequence ${chain.sequence} to ${line.sequence}`;
    return { problem: { class: "gap", detail }, advances: true };
  }

  #verifyOrder(line: ScannedLine): Problem | undefined {
    const previous = this.#previousGroup;
    const continues = previous === undefined ? line.group < line.index : line.group === previous;
    if (line.group !== line.index && !continues) {
      const detail = `group ${line.group} is neither this record nor the group before`;
      return { class: "altered", detail };
    }
    this.#time.read(line);
    if (!this.#previousTime.isAfter(this.#time)) return undefined;
    return { class: "altered", detail: "time runs backwards from the record before" };
  }

  #isGenuine(view: LineView): boolean | undefined {
    const { scanned } = view;
    if (scanned.writer !== this.#options.writer) return false;
    return this.#chains.isGenuine(scanned, epochOf(scanned.key));
  }

  #fail(view: LineView, name: FailureClass, detail: string): void {
    this.#findings.add({ class: name, place: placeOf(view), detail }, view.place.order);
  }
}

const tooManyChains = `no ledger has more than ${chainsMax} chains`;

interface ChainStep {
  readonly problem: Problem | undefined;
  /** True where the record is the chain's newest from here on. */
  readonly advances: boolean;
}

function badMac(line: ScannedLine, chain: ChainState, follows: boolean): Problem {
  if (!follows && line.sequence === 1 && chain.sequence === 0) {
    const detail = "the record begins another chain: its previous MAC is not this chain's genesis";
    return { class: "spliced", detail };
  }
  return { class: "altered", detail: "the MAC is not that of this head" };
}

function badPredecessor(chain: ChainState, mac: MacState): Problem {
  if (chain.sequence === 0) {
    const detail = "the first record of the chain does not begin at its genesis";
    return { class: "spliced", detail };
  }
  if (mac === "good") {
    const detail = "the record follows another record than the one that stands before it";
    return { class: "spliced", detail };
  }
  const detail = `previous_mac is not the MAC of sequence ${chain.sequence}: one of the two records was changed`;
  return { class: "altered", detail };
}

const lowDigits = 10;
const ZERO = 0x30;

/** A time as two numbers that hold all of its digits. */
class LineTime {
  #high = 0;
  #low = 0;

  read({ bytes, timeAt, timeEnd }: ScannedLine): void {
    const middle = Math.max(timeAt, timeEnd - lowDigits);
    this.#high = numberOf(bytes, timeAt, middle);
    this.#low = numberOf(bytes, middle, timeEnd);
  }

  take(other: LineTime): void {
    this.#high = other.#high;
    this.#low = other.#low;
  }

  isAfter(other: LineTime): boolean {
    return this.#high === other.#high ? this.#low > other.#low : this.#high > other.#high;
  }
}

function numberOf(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at++) value = value * 10 + bytes[at]! - ZERO;
  return value;
}
