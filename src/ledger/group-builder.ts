/**
 * The part of a commit that needs no disk: repeats are told from new records, each new record gets
 * its index, sequence, MAC, entry and line, and, once the group is durable, memory follows. Nothing
 * here is lasting before `apply`; `abandon` leaves no trace.
 */
import { contentDigest } from "../audit/content-digest.ts";
import { digestBytes } from "../audit/prepared-batch.ts";
import { keyName } from "./chain.ts";
import { keyOf, type Chain } from "./chains.ts";
import {
  conflictWith,
  fresh,
  itemBytes,
  itemCount,
  repeat,
  type BatchItem,
  type ControlItem,
  type Group,
  type Item,
} from "./group.ts";
import { GroupWriter } from "./group-writer.ts";
import type { KeyRing } from "./keys.ts";
import { LedgerError } from "./ledger-error.ts";
import { countActions, countControl, type LedgerMemory } from "./memory.ts";
import type { DedupeWindow } from "./window.ts";

const idWords = 4;

export class GroupBuilder {
  readonly writer: GroupWriter;
  readonly #memory: LedgerMemory;
  readonly chainsMax: number;
  /** New records of the group that is being built. */
  #pending: DedupeWindow;
  #keys: KeyRing;

  constructor(memory: LedgerMemory, keys: KeyRing, chainsMax: number) {
    this.#memory = memory;
    this.#keys = keys;
    this.chainsMax = chainsMax;
    this.writer = new GroupWriter(memory.chains);
    this.#pending = memory.window.another(1024);
  }

  useKeys(keys: KeyRing): void {
    this.#keys = keys;
    this.#memory.chains.dropKeys();
  }

  /**
   * Why the request cannot be part of the log, or undefined. `begun`: chains that others of its
   * group begin; its own are added. Notes the chains that there are.
   */
  refusal(item: Item, begun: Set<string>): LedgerError | undefined {
    if (item.type === "control") return undefined;
    const { chains } = this.#memory;
    const unknown: string[] = [];
    for (const [place, name] of item.batch.chains.entries()) {
      const chain = chains.find(name);
      if (chain === undefined) unknown.push(keyOf(name));
      else item.chains[place] = chain;
    }
    if (unknown.length === 0) return undefined;
    const further = unknown.filter((key) => !begun.has(key));
    if (chains.count + begun.size + further.length <= this.chainsMax) {
      for (const key of further) begun.add(key);
      return undefined;
    }
    return new LedgerError(
      "too_many_chains",
      `the ledger has ${chains.count} chains (namespace and tenant) and takes ` +
        `${this.chainsMax} at most`,
      { remedy: "send an existing tenant, or correct where audit.tenant is from" },
    );
  }

  /** Indexes of the durable records that have the id of a record of these, as far as they count. */
  alike(items: readonly Item[]): number[] {
    const { window } = this.#memory;
    const indexes: number[] = [];
    for (const item of items) {
      if (item.type === "control") continue;
      for (let position = 0; position < item.batch.count; position++) {
        const newest = window.newest(item.idWords, position * idWords);
        for (const slot of versions(window, newest)) indexes.push(window.indexOf(slot));
      }
    }
    return indexes;
  }

  /** Decides which records are new. `earlier`: what was asked for by `alike`. */
  decide(items: readonly Item[], earlier: EarlierRecords): void {
    const batches = items.filter((item) => item.type === "batch");
    const count = numberPlaces(batches);
    if (count > this.#pending.capacity) this.#pending = this.#pending.another(2 * count);
    else this.#pending.clear();
    const known = { contents: new GroupContents(batches), earlier };
    for (const item of batches) {
      for (let position = 0; position < item.batch.count; position++) {
        const at = position * idWords;
        const place = item.place + position;
        const outcome = this.#decideOne(item.idWords, at, place, known);
        item.outcomes[position] = outcome;
        if (outcome !== repeat) this.#pending.add(item.idWords, at, place);
      }
    }
  }

  // oxlint-disable-next-line max-params -- a place in the ids and one in the group
  #decideOne(ids: Uint32Array, at: number, place: number, known: Known): number {
    const { window } = this.#memory;
    const pending = this.#pending;
    const durable = window.newest(ids, at);
    const beside = pending.newest(ids, at);
    if (durable === -1 && beside === -1) return fresh;
    const { contents, earlier } = known;
    const content = contents.of(place);
    for (const slot of versions(pending, beside)) {
      if (contents.of(pending.indexOf(slot)) === content) return repeat;
    }
    for (const slot of versions(window, durable)) {
      if (earlier.get(window.indexOf(slot))!.content === content) return repeat;
    }
    // The newest record of that id is the one that is contradicted.
    return beside === -1
      ? conflictWith(durable, false)
      : conflictWith(pending.indexOf(beside), true);
  }

  /** Writes the group's records; `writer` then holds their bytes. */
  stamp(items: readonly Item[], { time, position }: GroupPlace, records: EarlierRecords): Group {
    const group: Group = { items, first: this.#memory.tree.size, time };
    const { epoch } = this.#memory.counters;
    const epochKey = this.#epochKey(epoch);
    for (const item of items) if (item.type === "control") item.source = item.makeSource();
    const count = items.reduce((sum, item) => sum + itemCount(item), 0);
    const bodyBytes = items.reduce((sum, item) => sum + itemBytes(item), 0);
    const { writer } = this.#memory;
    const frame = { group: group.first, time, keyName: keyName(epoch, epochKey), writer };
    this.writer.begin(frame, { count, bodyBytes, position });
    // Actions and control records count alike in the log, but only actions are in the window.
    const earlier: Earlier = { records, recordOf: [] };
    for (const item of items) {
      if (item.type === "control") this.#stampControl(item, epochKey);
      else this.#stampBatch(item, epochKey, earlier);
    }
    return group;
  }

  #epochKey(epoch: number): Uint8Array {
    const key = this.#keys.chainKey(epoch);
    if (key !== undefined) return key;
    throw new LedgerError("missing_key", `chain key ${epoch} is not in ${this.#keys.directory}`);
  }

  #stampControl(item: ControlItem, epochKey: Uint8Array): void {
    const { chains, counters, tree } = this.#memory;
    const chain = chains.open(item.chain);
    item.index = tree.size + this.writer.count;
    chains.draft(chain);
    const pen = chains.penOf(chain, counters.epoch, epochKey);
    this.writer.add(chain, pen, { source: item.source!, position: 0, conflictOf: undefined });
  }

  #stampBatch(item: BatchItem, epochKey: Uint8Array, earlier: Earlier): void {
    const { writer } = this;
    const { chains, counters, tree } = this.#memory;
    const { batch, outcomes, source } = item;
    item.first = tree.size + writer.count;
    item.conflicts = 0;
    for (let position = 0; position < batch.count; position++) {
      const outcome = outcomes[position]!;
      earlier.recordOf.push(writer.count);
      if (outcome === repeat) continue;
      const chain = this.#chainOf(item, batch.chainOf[position]!);
      chains.draft(chain);
      const pen = chains.penOf(chain, counters.epoch, epochKey);
      const conflictOf = outcome === fresh ? undefined : this.#contradicted(outcome, earlier);
      if (conflictOf !== undefined) item.conflicts++;
      writer.add(chain, pen, { source, position, conflictOf });
    }
    item.end = tree.size + writer.count;
  }

  #chainOf(item: BatchItem, place: number): Chain {
    return (item.chains[place] ??= this.#memory.chains.open(item.batch.chains[place]!));
  }

  #contradicted(outcome: number, earlier: Earlier): string {
    const place = Math.floor(outcome / 2);
    if (outcome % 2 === 0) return earlier.records.get(this.#memory.window.indexOf(place))!.mac;
    const at = earlier.recordOf[place]! * digestBytes;
    return this.writer.macs.toString("hex", at, at + digestBytes);
  }

  /** The group is durable: tips, tree, window and counters follow. */
  apply(group: Group): void {
    const { chains, counters, tree, window } = this.#memory;
    const { writer } = this;
    chains.apply(writer.macs);
    tree.append(writer.entries, writer.count);
    if (writer.count > 0) {
      counters.lastTime = group.time;
      counters.tip = writer.macs.toString(
        "hex",
        (writer.count - 1) * digestBytes,
        writer.count * digestBytes,
      );
    }
    let record = 0;
    for (const item of group.items) {
      if (item.type === "control") {
        countControl(counters, item.kind, item.source!.bodies);
        record++;
        continue;
      }
      const { outcomes, idWords: ids } = item;
      for (let position = 0; position < outcomes.length; position++) {
        if (outcomes[position] === repeat) continue;
        window.add(ids, position * idWords, group.first + record);
        record++;
      }
      countActions(counters, item.end - item.first);
    }
  }

  /** The group is not in the log: as if it had never been built. */
  abandon(): void {
    this.#memory.chains.abandon();
  }
}

export interface GroupPlace {
  readonly time: bigint;
  /** Where in the segment the group's lines begin, unless it begins one. */
  readonly position: number;
}

/** What is told of durable records with the ids of new ones, by index. */
export type EarlierRecords = ReadonlyMap<number, EarlierRecord>;

export interface EarlierRecord {
  /** In hexadecimal. */
  readonly mac: string;
  /** See `contentDigest`. */
  readonly content: string;
}

interface Known {
  readonly contents: GroupContents;
  readonly earlier: EarlierRecords;
}

/** Records that new ones may contradict. */
interface Earlier {
  readonly records: EarlierRecords;
  /** By place in the group: the record's number among those that are written. */
  readonly recordOf: number[];
}

/** Versions of one id that are told apart; a further one always counts as another conflict. */
const versionsMax = 8;

/** The slots of the newest entries with one id, from `newest` on. */
function versions(window: DedupeWindow, newest: number): readonly number[] {
  if (newest === -1) return NONE;
  const slots: number[] = [];
  for (let slot = newest; slot !== -1 && slots.length < versionsMax; slot = window.older(slot)) {
    slots.push(slot);
  }
  return slots;
}

const NONE: readonly number[] = [];

/** Numbers the action records of a group, repeats included. @returns how many there are */
function numberPlaces(items: readonly BatchItem[]): number {
  let place = 0;
  for (const item of items) {
    item.place = place;
    place += item.batch.count;
  }
  return place;
}

/** Content digests of a group's own records by their places, made where they are asked for. */
class GroupContents {
  readonly #items: readonly BatchItem[];
  readonly #known = new Map<number, string>();

  /** @param items with their places */
  constructor(items: readonly BatchItem[]) {
    this.#items = items;
  }

  of(place: number): string {
    let content = this.#known.get(place);
    if (content === undefined) this.#known.set(place, (content = this.#digest(place)));
    return content;
  }

  #digest(place: number): string {
    const item = this.#items.findLast((one) => one.place <= place && one.batch.count > 0)!;
    const { bodies, bodyEnds } = item.batch;
    const position = place - item.place;
    const start = position === 0 ? 0 : bodyEnds[position - 1]!;
    return contentDigest(bodies.subarray(start, bodyEnds[position]));
  }
}
