/**
 * Follows the indexes of the lines and finds its way back after damage. One line that does not fit
 * is held until the next one shows what happened: a leap, a line in another's place, or one too
 * many. What was out of place and what was missing are paired at the end, so that a moved line is
 * told from a removed one and from a copy.
 */
import { strayLinesMax } from "../../limits.ts";
import { HashedLine, hashLines } from "./hashed-line.ts";
import type { Findings, Place } from "./report.ts";

export interface LinePlace {
  readonly segment: string;
  /** From 1. */
  readonly line: number;
  /** Number of the line in the whole log. */
  readonly order: number;
}

/** A line in place in the bytes it was read with, which are gone when the next chunk comes. */
export interface LineView {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  readonly scanned: HashedLine;
  readonly place: LinePlace;
}

export interface OrderingHandler {
  /** The line stands where its index belongs. */
  accept(view: LineView): void;
  /** `count` records have no line here: their place in the tree stays empty. */
  vacate(count: number): void;
  /** Whether the MAC of a line out of place holds; undefined where no key tells. */
  isGenuine(view: LineView): boolean | undefined;
  /** Whether the line continues its chain, whatever its index says. */
  continuesChain(view: LineView): boolean;
}

interface Vacancy {
  readonly first: number;
  readonly end: number;
  readonly place: LinePlace;
  /** Indexes of the range that stand elsewhere. */
  readonly found: Set<number>;
  /** True where a changed line stands in its place, which is reported as such. */
  explained: boolean;
}

interface Stray {
  readonly index: number;
  readonly place: LinePlace;
  readonly chain: Place;
  readonly genuine: boolean | undefined;
  readonly continuesChain: boolean;
  /** Set where the line stands in the place of a record that is missing. */
  readonly substitute: Vacancy | undefined;
}

export function placeOf(view: LineView): Place {
  const { index, namespace, tenant, sequence } = view.scanned;
  const { segment, line } = view.place;
  return { segment, line, index, namespace, tenant, sequence };
}

export class Ordering {
  readonly #handler: OrderingHandler;
  readonly #findings: Findings;
  readonly #vacancies: Vacancy[] = [];
  readonly #strays: Stray[] = [];
  /** Index that the next line in place has. */
  expected = 0;
  #held: LineView | undefined;
  /** Lines since the last one in place that could not be read: each may have been a record. */
  #unreadable = 0;

  constructor(handler: OrderingHandler, findings: Findings) {
    this.#handler = handler;
    this.#findings = findings;
  }

  next(view: LineView): void {
    const held = this.#held;
    const { index } = view.scanned;
    if (held === undefined) {
      if (index === this.expected || this.#followsUnreadable(index)) this.#place(view);
      else this.#hold(view);
      return;
    }
    this.#held = undefined;
    const leaps = held.scanned.index > this.expected && index > held.scanned.index;
    if (index === this.expected) {
      this.#stray(held, undefined);
    } else if (index === this.expected + 1) {
      this.#stray(held, this.#vacate(1, held.place));
    } else if (leaps) {
      this.#leapTo(held);
    } else {
      this.#stray(held, undefined);
    }
    this.next(view);
  }

  /** A line that is none: it may stand in the place of the next record. */
  unreadable(): void {
    this.#settle();
    this.#unreadable++;
  }

  #followsUnreadable(index: number): boolean {
    const replaced = index - this.expected;
    if (replaced <= 0 || replaced > this.#unreadable) return false;
    this.#advance(replaced);
    return true;
  }

  #hold(view: LineView): void {
    const bytes = Buffer.from(view.bytes.subarray(view.start, view.end));
    const scanned = new HashedLine().scan(bytes, 0, bytes.length);
    hashLines([scanned], 1);
    this.#held = { bytes, start: 0, end: bytes.length, scanned, place: view.place };
  }

  #place(view: LineView): void {
    this.#unreadable = 0;
    this.expected++;
    this.#handler.accept(view);
  }

  #advance(count: number): void {
    this.#handler.vacate(count);
    this.expected += count;
  }

  #vacate(count: number, place: LinePlace): Vacancy {
    const first = this.expected;
    const vacancy: Vacancy = {
      first,
      end: first + count,
      place,
      found: new Set<number>(),
      explained: false,
    };
    if (this.#vacancies.length < strayLinesMax) this.#vacancies.push(vacancy);
    else this.#reportVacancy(vacancy);
    this.#advance(count);
    return vacancy;
  }

  #leapTo(view: LineView): void {
    const replaced = Math.min(this.#unreadable, view.scanned.index - this.expected);
    if (replaced > 0) this.#advance(replaced);
    this.#vacate(view.scanned.index - this.expected, view.place);
    this.#place(view);
  }

  #stray(view: LineView, substitute: Vacancy | undefined): void {
    if (this.#strays.length >= strayLinesMax) {
      const detail = "another line out of place";
      this.#findings.add({ class: "reordered", place: placeOf(view), detail }, view.place.order);
      return;
    }
    this.#strays.push({
      index: view.scanned.index,
      place: view.place,
      chain: placeOf(view),
      genuine: this.#handler.isGenuine(view),
      continuesChain: this.#handler.continuesChain(view),
      substitute,
    });
  }

  /** No further line will tell: what is held is judged by itself. */
  #settle(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    const genuine = this.#handler.isGenuine(held);
    const edited =
      genuine === false || (genuine === undefined && this.#handler.continuesChain(held));
    if (held.scanned.index > this.expected && !edited) this.#leapTo(held);
    else if (edited) this.#stray(held, this.#vacate(1, held.place));
    else this.#stray(held, undefined);
  }

  end(): void {
    this.#settle();
    // A last line that could not be read stood for a record, as far as anybody can tell.
    if (this.#unreadable > 0) this.#advance(this.#unreadable);
    for (const stray of this.#strays) this.#reportStray(stray);
    for (const vacancy of this.#vacancies) this.#reportVacancy(vacancy);
  }

  #reportStray(stray: Stray): void {
    const { index, place, substitute } = stray;
    const home = this.#vacancies.find(({ first, end }) => index >= first && index < end);
    if (home !== undefined && stray.genuine !== false) {
      home.found.add(index);
      this.#reportAt(stray, "reordered", `record ${index} stands in another place than its own`);
      return;
    }
    const changed = stray.genuine === false || (stray.genuine ?? stray.continuesChain);
    if (substitute !== undefined && changed && stray.genuine !== true) {
      substitute.explained = true;
      const detail = `record ${substitute.first} was changed: its index says ${index}`;
      const at = { ...stray.chain, index: substitute.first };
      this.#findings.add({ class: "altered", place: at, detail }, place.order);
    } else if (stray.genuine === false) {
      this.#reportAt(
        stray,
        "spliced",
        "a line that no key of this log wrote stands between records",
      );
    } else {
      this.#reportAt(stray, "duplicate", `record ${index} stands here a second time`);
    }
  }

  #reportAt(stray: Stray, name: "reordered" | "spliced" | "duplicate", detail: string): void {
    this.#findings.add({ class: name, place: stray.chain, detail }, stray.place.order);
  }

  #reportVacancy(vacancy: Vacancy): void {
    if (vacancy.explained) return;
    const { place } = vacancy;
    for (const { first, end } of rangesWithout(vacancy)) {
      const count = end - first;
      const detail =
        count === 1
          ? `record ${first} is missing before this line`
          : `records ${first} to ${end - 1} are missing before this line`;
      const at = { segment: place.segment, line: place.line, index: first };
      this.#findings.add({ class: "gap", place: at, detail, count }, place.order);
    }
  }
}

/** The vacancy's range without the indexes that stand elsewhere. */
function rangesWithout(vacancy: Vacancy): { first: number; end: number }[] {
  const ranges: { first: number; end: number }[] = [];
  let first = vacancy.first;
  const found = [...vacancy.found].toSorted((left, right) => left - right);
  for (const index of found) {
    if (index > first) ranges.push({ first, end: index });
    first = index + 1;
  }
  if (vacancy.end > first) ranges.push({ first, end: vacancy.end });
  return ranges;
}
