/** Maps of OTLP that are tables: a list of column names beside lists of rows. */
import { LENGTH_DELIMITED, WireReader } from "../../bytes/wire.ts";
import { countRow, newDocument, type PhiScene } from "../phi/account.ts";
import { isHeaderKey, isRowsKey } from "../phi/rows.ts";
import type { PhiColumn } from "../phi/tables.ts";
import { treatAnyValue } from "./cell.ts";
import type { Here, Walk } from "./place.ts";

/** What stands in each place of a row: a declared column with the name it has, or nothing. */
export type Places = readonly ({ readonly column: PhiColumn; readonly name: string } | undefined)[];

interface Bounds {
  readonly start: number;
  readonly stop: number;
}

/** @returns the places of the rows in a map (KeyValueList), undefined where no column is declared */
export function placesOf(walk: Walk, { start, stop }: Bounds, phi: PhiScene): Places | undefined {
  for (const member of children(walk, { start, stop })) {
    const [key, value] = memberOf(walk, member);
    if (key === undefined || value === undefined || !isHeaderKey(key)) continue;
    const places = [...listOf(walk, value)].map((element) => {
      const name = nameIn(walk, element)?.toLowerCase() ?? "";
      const column = phi.columns.get(name);
      return column === undefined ? undefined : { column, name };
    });
    if (places.some((place) => place !== undefined)) return places;
  }
  return undefined;
}

/** The places of the rows under this member, where it holds rows. */
export function rowsUnder(key: string, places: Places | undefined): Places | undefined {
  return places !== undefined && isRowsKey(key) ? places : undefined;
}

/** Counts the row whose ArrayValue this is. */
export function countPlaces(walk: Walk, row: Bounds, places: Places, phi: PhiScene): void {
  const texts = [...children(walk, row)].flatMap(({ start, stop }, at) => {
    const place = places[at];
    return place === undefined
      ? []
      : [`${place.name}=${walk.bytes.toString("latin1", start, stop)}`];
  });
  if (texts.length === 0) return;
  if (phi.account.documents.length === 0) newDocument(phi.account);
  countRow(phi.account.documents.at(-1)!, texts);
}

/** Treats the value in a place of a row. One that is to be dropped becomes an empty value. */
export function treatPlace(
  walk: Walk,
  here: Here,
  { column, name }: NonNullable<Places[number]>,
  phi: PhiScene,
): void {
  if (!treatAnyValue(walk, here, { column, key: name, phi })) return;
  const { start, stop } = here.enclosure;
  walk.edits.push({ start, stop, replacement: new Uint8Array(0), within: here.enclosure });
}

/** Field 1 of a list: elements of an ArrayValue, members of a KeyValueList. */
function* children(walk: Walk, { start, stop }: Bounds): Generator<Bounds> {
  const reader = new WireReader(walk.bytes, start, stop);
  while (reader.next()) {
    if (reader.field !== 1 || reader.wireType !== LENGTH_DELIMITED) continue;
    yield { start: reader.start, stop: reader.stop };
  }
}

/** Key and AnyValue of a KeyValue, the last of each. */
function memberOf(
  walk: Walk,
  bounds: Bounds,
): [key: string | undefined, value: Bounds | undefined] {
  let key: string | undefined;
  let value: Bounds | undefined;
  const reader = new WireReader(walk.bytes, bounds.start, bounds.stop);
  while (reader.next()) {
    if (reader.wireType !== LENGTH_DELIMITED) continue;
    if (reader.field === 1) key = walk.bytes.toString("utf8", reader.start, reader.stop);
    if (reader.field === 2) value = { start: reader.start, stop: reader.stop };
  }
  return [key, value];
}

/** The elements of an AnyValue that is a list. */
function* listOf(walk: Walk, { start, stop }: Bounds): Generator<Bounds> {
  const reader = new WireReader(walk.bytes, start, stop);
  while (reader.next()) {
    if (reader.field !== 5 || reader.wireType !== LENGTH_DELIMITED) continue;
    yield* children(walk, { start: reader.start, stop: reader.stop });
  }
}

const NAME = /^(?:name|column_?name|field)$/i;

/** A column's name: a text, or the member `name` of a map. */
function nameIn(walk: Walk, { start, stop }: Bounds): string | undefined {
  const reader = new WireReader(walk.bytes, start, stop);
  while (reader.next()) {
    if (reader.wireType !== LENGTH_DELIMITED) continue;
    if (reader.field === 1) return walk.bytes.toString("utf8", reader.start, reader.stop);
    if (reader.field !== 6) continue;
    for (const member of children(walk, { start: reader.start, stop: reader.stop })) {
      const [key, value] = memberOf(walk, member);
      if (key !== undefined && value !== undefined && NAME.test(key)) return nameIn(walk, value);
    }
  }
  return undefined;
}
