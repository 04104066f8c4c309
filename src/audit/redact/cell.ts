/** Treats the value of a declared column that OTLP holds as a value of its own, not as JSON. */
import { FIXED64, GROUP_START, LENGTH_DELIMITED, VARINT, WireReader } from "../../bytes/wire.ts";
import { countRow, newDocument, type PhiScene } from "../phi/account.ts";
import type { PhiColumn } from "../phi/tables.ts";
import { cellChange, treatCell } from "../phi/treat.ts";
import { drops } from "./actions.ts";
import { Tally } from "./findings.ts";
import { below, replaceValue, type Here, type Walk } from "./place.ts";
import { starOut } from "./unknown.ts";

interface ValueOfColumn {
  readonly column: PhiColumn;
  readonly key: string;
  readonly phi: PhiScene;
}

/**
 * A map with a declared column is a row: counted once, with what is inside of it.
 *
 * @returns what the map's members are to the declared tables
 */
export function rowScene(
  walk: Walk,
  { start, stop }: { readonly start: number; readonly stop: number },
  phi: PhiScene,
): PhiScene {
  const texts: string[] = [];
  const reader = new WireReader(walk.bytes, start, stop);
  while (reader.next()) {
    if (reader.field !== 1 || reader.wireType !== LENGTH_DELIMITED) continue;
    const member = reader.message();
    let text = "";
    let column: PhiColumn | undefined;
    while (member.next()) {
      if (member.wireType !== LENGTH_DELIMITED) continue;
      const payload = walk.bytes.toString("utf8", member.start, member.stop);
      if (member.field === 1) column = phi.columns.get(payload.toLowerCase());
      else text += payload;
    }
    if (column !== undefined) texts.push(`${column.name.toLowerCase()}=${text}`);
  }
  if (texts.length === 0) return phi;
  if (!phi.isResult && texts.length < 2) return { ...phi, columns: new Map() };
  if (phi.account.documents.length === 0) newDocument(phi.account);
  countRow(phi.account.documents.at(-1)!, texts);
  return { ...phi, account: { ...phi.account, documents: [new Map()] } };
}

/** @returns true where the member that holds the value is to be removed */
export function treatAnyValue(walk: Walk, here: Here, cell: ValueOfColumn): boolean {
  const { column, phi } = cell;
  phi.account.columns.add(column.name);
  const editsBefore = walk.edits.length;
  const tally = walk.tally;
  const dropped = drops(column.actions);
  if (dropped) walk.tally = new Tally();
  treatFields(walk, here, cell);
  if (!dropped) return false;
  walk.edits.length = editsBefore;
  walk.tally = tally;
  tally.note(cellChange(column, { start: 0, end: 0 }, ""), here.path);
  return true;
}

function treatFields(walk: Walk, here: Here, cell: ValueOfColumn): void {
  const reader = new WireReader(walk.bytes, here.enclosure.start, here.enclosure.stop);
  while (reader.next()) {
    const text = scalarText(walk.bytes, reader);
    if (text !== undefined) treatScalar(walk, reader, here, { ...cell, text });
    else if (reader.wireType === LENGTH_DELIMITED) treatElements(walk, reader, here, cell);
  }
}

/** The current field of an AnyValue as text, one character per byte; undefined for lists and maps. */
function scalarText(bytes: Buffer, reader: WireReader): string | undefined {
  const { field, wireType, start, stop } = reader;
  if (wireType === VARINT && field === 2) return reader.uint32() === 0 ? "false" : "true";
  if (wireType === VARINT && field === 3) return String(reader.int64());
  if (wireType === FIXED64 && field === 4) return String(reader.double());
  if (wireType !== LENGTH_DELIMITED || field === 5 || field === 6) return undefined;
  return bytes.toString("latin1", start, stop);
}

function treatScalar(
  walk: Walk,
  reader: WireReader,
  here: Here,
  cell: ValueOfColumn & { readonly text: string },
): void {
  const { column, phi, text, key } = cell;
  const isSubject = phi.subjects.has(key.toLowerCase());
  const { policy, tenant } = walk;
  const treated = treatCell(text, { column, isSubject }, { policy, tenant, phi });
  if (treated === undefined || treated === text) return;
  const change = cellChange(column, { start: 0, end: text.length }, treated);
  replaceValue(walk, reader, here, { text: Buffer.from(treated, "latin1"), changes: [change] });
}

/**
 * ArrayValue.values are values, KeyValueList.values hold one each. Keys are no values of the column:
 * what rules find in them is overwritten in place, as in fields that are unknown.
 */
function treatElements(walk: Walk, reader: WireReader, here: Here, cell: ValueOfColumn): void {
  const list = below(here, reader, here.path);
  const elements = reader.message();
  while (elements.next()) {
    if (elements.field !== 1 || elements.wireType !== LENGTH_DELIMITED) {
      starField(walk, elements, here);
      continue;
    }
    const element = below(list, elements, here.path);
    if (reader.field === 5) {
      treatFields(walk, element, cell);
      continue;
    }
    const member = elements.message();
    while (member.next()) {
      if (member.field !== 2 || member.wireType !== LENGTH_DELIMITED) {
        starField(walk, member, here);
        continue;
      }
      treatFields(walk, below(element, member, here.path), cell);
    }
  }
}

function starField(walk: Walk, reader: WireReader, here: Here): void {
  if (reader.wireType !== LENGTH_DELIMITED && reader.wireType !== GROUP_START) return;
  starOut(walk, reader.start, reader.stop, here.path);
}
