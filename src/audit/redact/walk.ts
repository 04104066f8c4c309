/**
 * The walk from a message to its strings. Only fields with candidates are entered, so the cost is
 * that of the candidates, not of the request.
 */
import { FIXED64, GROUP_START, LENGTH_DELIMITED, VARINT, WireReader } from "../../bytes/wire.ts";
import { phiScene, type PhiScene } from "../phi/account.ts";
import { isResultKey } from "../phi/keys.ts";
import type { Field, Message } from "../otlp/schema.ts";
import { bytesOf } from "./actions.ts";
import { rowScene, treatAnyValue } from "./cell.ts";
import { FROM_DIGITS, FROM_KEY, INTEGER, NUMBERS, RULE } from "./candidates.ts";
import { isAddressKey, isCarrier, normalizeKey } from "./keys.ts";
import { numberBits } from "./numbers.ts";
import {
  below,
  noKey,
  remove,
  replaceValue,
  visits,
  type Here,
  type KeyScene,
  type Walk,
} from "./place.ts";
import { redactPlain, tenantFor, type Change, type Scene } from "./plain.ts";
import { countPlaces, placesOf, rowsUnder, treatPlace, type Places } from "./table.ts";
import { starOut } from "./unknown.ts";
import { applyChanges, redactValue } from "./value.ts";

/**
 * Redacts every string of a message, known fields by the schema and unknown ones by their bytes.
 * Fields with the number `except` are left to the caller.
 */
export function walkMessage(walk: Walk, message: Message, here: Here, except: number = 0): void {
  const { start, stop } = here.enclosure;
  const reader = new WireReader(walk.bytes, start, stop);
  const counts: number[] = [];
  while (reader.next()) {
    if (reader.field === except && reader.wireType === LENGTH_DELIMITED) continue;
    const index = counts[reader.field] ?? 0;
    counts[reader.field] = index + 1;
    if (!visits(walk, reader.start, reader.stop)) continue;
    walkField(walk, message.byNumber[reader.field], { reader, here, index });
  }
}

interface At {
  readonly reader: WireReader;
  readonly here: Here;
  /** How many fields of this number came before. */
  readonly index: number;
}

function walkField(walk: Walk, field: Field | undefined, at: At): void {
  const { reader, here } = at;
  if (reader.wireType !== LENGTH_DELIMITED) {
    if (reader.wireType === GROUP_START) starOut(walk, reader.start, reader.stop, here.path);
    return;
  }
  const name = here.path === "" ? (field?.name ?? "") : `${here.path}.${field?.name ?? ""}`;
  switch (field?.kind) {
    case "message":
      walkChild(walk, field.message!, name, at);
      return;
    case "string":
      redactText(walk, below(here, reader, name), noKey);
      return;
    case "id":
      // An id has 8 or 16 bytes; anything else may be text.
      if (reader.stop - reader.start === 8 || reader.stop - reader.start === 16) return;
      starOut(walk, reader.start, reader.stop, name);
      return;
    case "bytes":
    case undefined:
      starOut(walk, reader.start, reader.stop, name);
      return;
    default:
      // Packed numbers hold no text; a single number with a length is a field of some other schema.
      if (field?.repeated === false) starOut(walk, reader.start, reader.stop, name);
  }
}

function walkChild(walk: Walk, message: Message, name: string, at: At): void {
  const { reader, here, index } = at;
  if (message.name === "KeyValue") {
    if (walkKeyValue(walk, below(here, reader, name))) remove(walk, reader, here);
    return;
  }
  const path = index > 0 || REPEATED.test(name) ? `${name}[${index}]` : name;
  if (message.name === "AnyValue") {
    // The body of a log record.
    const phi = phiOf(walk, undefined);
    walkAnyValue(walk, below(here, reader, path), { ...noKey, phi });
  } else walkMessage(walk, message, below(here, reader, path));
}

/** Repeated messages, whose findings name an index even where there is only one. */
const REPEATED = /(?:^|\.)(?:events|links|dataPoints|exemplars|entityRefs|quantileValues)$/;

/** What the attribute around a map says about its members. */
interface Around {
  readonly phi: PhiScene | undefined;
  readonly attribute: string;
  /** Of the map, normalised, and what it says. */
  readonly key: string;
  readonly bits: number;
  /** The declared columns of the rows in the map, where it is a table. */
  readonly places: Places | undefined;
}

/**
 * Key and values, every copy of them. @returns true where the attribute is to be removed: then it
 * has left no edits.
 */
function walkKeyValue(walk: Walk, here: Here, around?: Around): boolean {
  const { start, stop } = here.enclosure;
  const editsBefore = walk.edits.length;
  const reader = new WireReader(walk.bytes, start, stop);
  let rawKey = "";
  let shownKey = "";
  let keyBits = 0;
  let dropped = false;
  while (reader.next()) {
    if (reader.wireType !== LENGTH_DELIMITED || reader.field !== 1) continue;
    rawKey = shownKey = walk.bytes.toString("utf8", reader.start, reader.stop);
    const bits = walk.candidates.between(reader.start, reader.stop);
    keyBits |= bits;
    if (bits === 0 && walk.everyBits === 0) continue;
    const changes = redactText(walk, below(here, reader, `${here.path} key`), noKey);
    dropped ||= changes.some(({ drop }) => drop);
    const bytes = walk.bytes.subarray(reader.start, reader.stop);
    if (changes.length > 0) shownKey = applyChanges(bytes, changes).toString();
  }
  const scene = keyScene(walk, rawKey, keyBits, around);
  const phi = around?.phi;
  const column = phi?.columns.get(rawKey.toLowerCase());
  const path = `${here.path}[${JSON.stringify(shownKey)}]`;
  const values = new WireReader(walk.bytes, start, stop);
  while (values.next()) {
    if (values.field === 1 && values.wireType === LENGTH_DELIMITED) continue;
    if (values.field === 2 && values.wireType === LENGTH_DELIMITED) {
      const value = below(here, values, path);
      dropped =
        (column === undefined
          ? walkAnyValue(walk, value, scene)
          : treatAnyValue(walk, value, { column, key: rawKey, phi: phi! })) || dropped;
    } else walkUnknown(walk, values, path);
  }
  if (dropped) walk.edits.length = editsBefore;
  return dropped;
}

function walkUnknown(walk: Walk, reader: WireReader, path: string): void {
  if (reader.wireType !== LENGTH_DELIMITED && reader.wireType !== GROUP_START) return;
  if (visits(walk, reader.start, reader.stop)) starOut(walk, reader.start, reader.stop, path);
}

/**
 * What a value of the item is to the declared tables: a result, a repetition, or nothing.
 *
 * @param rawKey of the attribute; the body of a log record has none
 */
function phiOf(walk: Walk, rawKey: string | undefined): PhiScene | undefined {
  if (walk.mentioned.length === 0) return undefined;
  const isResult = walk.tables.length > 0 && (rawKey === undefined || isResultKey(rawKey));
  return phiScene(isResult ? walk.tables : walk.mentioned, walk.account, isResult);
}

function keyScene(walk: Walk, rawKey: string, bits: number, around: Around | undefined): KeyScene {
  const attribute = around?.attribute ?? rawKey;
  const own = normalizeKey(rawKey);
  const carried = around !== undefined && around.key !== "" && isCarrier(own);
  // That an operator's rule is for all under an attribute holds for every member.
  const inherited = (around?.bits ?? 0) & (carried ? FROM_KEY : RULE);
  return {
    phi: around?.phi ?? phiOf(walk, rawKey),
    place: { key: carried ? around.key : own, rawKey, attribute },
    keyBits: bits | inherited,
    rows: rowsUnder(rawKey, around?.places),
    identity: walk.policy.identityKeys.has(rawKey),
    address: isAddressKey(rawKey),
  };
}

/** @returns true where the element that holds the value is to be removed */
function walkAnyValue(walk: Walk, here: Here, scene: KeyScene): boolean {
  const { start, stop } = here.enclosure;
  const reader = new WireReader(walk.bytes, start, stop);
  let dropped = false;
  while (reader.next()) {
    if (reader.wireType === LENGTH_DELIMITED) {
      dropped = walkLength(walk, reader, here, scene) || dropped;
    } else if (reader.wireType === VARINT && reader.field === 3) {
      const value = reader.int64();
      dropped = redactNumber(walk, reader, here, { ...scene, value }) || dropped;
    } else if (reader.wireType === FIXED64 && reader.field === 4) {
      const value = reader.double();
      if (!Number.isInteger(value) || Math.abs(value) > 1e19) continue;
      dropped = redactNumber(walk, reader, here, { ...scene, value: BigInt(value) }) || dropped;
    } else walkUnknown(walk, reader, here.path);
  }
  return dropped;
}

function walkLength(walk: Walk, reader: WireReader, here: Here, scene: KeyScene): boolean {
  const inherited = scene.keyBits !== 0;
  if (!inherited && !visits(walk, reader.start, reader.stop)) return false;
  switch (reader.field) {
    case 1:
      return redactText(walk, below(here, reader, here.path), scene).some(({ drop }) => drop);
    case 5:
      walkList(walk, below(here, reader, here.path), scene);
      return false;
    case 6:
      walkMap(walk, below(here, reader, here.path), scene);
      return false;
    case 7:
      return redactBytes(walk, reader, here, scene);
    default:
      starOut(walk, reader.start, reader.stop, here.path);
      return false;
  }
}

function walkList(walk: Walk, here: Here, { rows, row, ...scene }: KeyScene): void {
  // A list in a list of rows is a row.
  const inner: KeyScene = rows === undefined ? scene : { ...scene, row: rows };
  if (row !== undefined) countPlaces(walk, here.enclosure, row, scene.phi!);
  const reader = new WireReader(walk.bytes, here.enclosure.start, here.enclosure.stop);
  for (let index = -1; reader.next();) {
    if (reader.field !== 1 || reader.wireType !== LENGTH_DELIMITED) {
      walkUnknown(walk, reader, here.path);
      continue;
    }
    index++;
    const before = walk.edits.length;
    const element = below(here, reader, `${here.path}[${index}]`);
    const place = row?.[index];
    if (place !== undefined) treatPlace(walk, element, place, scene.phi!);
    else if (walkAnyValue(walk, element, inner)) {
      walk.edits.length = before;
      remove(walk, reader, here);
    }
  }
}

function walkMap(walk: Walk, here: Here, scene: KeyScene): void {
  const { phi, place } = scene;
  const around: Around = {
    phi: phi === undefined ? undefined : rowScene(walk, here.enclosure, phi),
    attribute: place.attribute,
    key: place.key,
    bits: scene.keyBits & FROM_KEY,
    places: phi === undefined ? undefined : placesOf(walk, here.enclosure, phi),
  };
  const reader = new WireReader(walk.bytes, here.enclosure.start, here.enclosure.stop);
  while (reader.next()) {
    if (reader.field !== 1 || reader.wireType !== LENGTH_DELIMITED) {
      walkUnknown(walk, reader, here.path);
    } else if (around.bits !== 0 || visits(walk, reader.start, reader.stop)) {
      if (walkKeyValue(walk, below(here, reader, here.path), around)) remove(walk, reader, here);
    }
  }
}

function sceneOf(walk: Walk, scene: KeyScene, bits: number): Scene {
  const { policy, everyBits } = walk;
  const tenant = tenantFor(policy, scene.place.rawKey, walk.tenant);
  return { ...scene, policy, tenant, bits: bits | scene.keyBits | everyBits, everyBits, depth: 0 };
}

/** Redacts the string whose content `here` is, leaving edits and findings. */
function redactText(walk: Walk, here: Here, scene: KeyScene): readonly Change[] {
  const { start, stop } = here.enclosure;
  let bits = walk.candidates.between(start, stop) | scene.keyBits | walk.everyBits;
  if ((bits & FROM_DIGITS) !== 0)
    bits = (bits & ~FROM_DIGITS) | numberBits(walk.bytes, start, stop);
  if (bits === 0 && scene.phi === undefined) return [];
  const changes = redactValue(walk.bytes.subarray(start, stop), sceneOf(walk, scene, bits));
  for (const change of changes) {
    walk.tally.note(change, here.path);
    walk.edits.push({
      start: start + change.start,
      stop: start + change.end,
      replacement: bytesOf(change.text, change.class),
      within: here.enclosure,
    });
  }
  return changes;
}

/** An integer with a hit becomes a string, the one change of type (with bytes). */
function redactNumber(
  walk: Walk,
  reader: WireReader,
  here: Here,
  scene: KeyScene & { readonly value: bigint },
): boolean {
  const found = walk.candidates.between(reader.tagStart, reader.stop) & INTEGER;
  const bits = (found === 0 ? 0 : NUMBERS) | scene.keyBits | walk.everyBits;
  if (bits === 0) return false;
  const changes = redactPlain(String(scene.value), sceneOf(walk, scene, bits | NUMBERS));
  if (changes.length === 0) return false;
  replaceValue(walk, reader, here, {
    text: applyChanges(Buffer.from(String(scene.value)), changes),
    changes,
  });
  return changes.some(({ drop }) => drop);
}

/** Text in bytes becomes a string; bytes that are no text are masked whole. */
function redactBytes(walk: Walk, reader: WireReader, here: Here, scene: KeyScene): boolean {
  const bytes = walk.bytes.subarray(reader.start, reader.stop);
  const bits = walk.candidates.between(reader.start, reader.stop);
  const changes = redactValue(bytes, sceneOf(walk, scene, bits));
  const first = changes[0];
  if (first === undefined) return false;
  const text = isUtf8(bytes) ? applyChanges(bytes, changes) : Buffer.from(first.text, "latin1");
  replaceValue(walk, reader, here, { text, changes });
  return changes.some(({ drop }) => drop);
}

function isUtf8(bytes: Buffer): boolean {
  return Buffer.compare(Buffer.from(bytes.toString("utf8")), bytes) === 0;
}
