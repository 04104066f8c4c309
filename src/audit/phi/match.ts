/** Which declared tables an item is about, told by the names of its tool and collections. */
import { LENGTH_DELIMITED, WireReader } from "../../bytes/wire.ts";
import { collectionKeys, queryKeys, toolNameKeys } from "./keys.ts";
import type { PhiTable } from "./tables.ts";

interface Bounds {
  readonly start: number;
  readonly stop: number;
}

interface Names {
  readonly tools: string[];
  readonly collections: string[];
  readonly queries: string[];
}

/** Numbers of the fields that hold name and attributes of a span or log record. */
export interface ItemFields {
  readonly name: number;
  readonly attributes: number;
}

export function matchTables(
  bytes: Buffer,
  item: Bounds,
  fields: ItemFields,
  tables: readonly PhiTable[],
): readonly PhiTable[] {
  const names: Names = { tools: [], collections: [], queries: [] };
  const reader = new WireReader(bytes, item.start, item.stop);
  while (reader.next()) {
    if (reader.wireType !== LENGTH_DELIMITED) continue;
    if (reader.field === fields.name) addAll(names.tools, spanNames(text(bytes, reader)));
    if (reader.field === fields.attributes) readAttribute(bytes, reader.message(), names);
  }
  return tables.filter(
    ({ tools, collections }) =>
      tools.some((tool) => names.tools.some((name) => isTool(name, tool))) ||
      collections.some((collection) => isCollection(names, collection)),
  );
}

const text = (bytes: Buffer, { start, stop }: Bounds): string =>
  bytes.toString("utf8", start, stop);

/** One by one: a call with as many arguments as a sender likes overflows the stack. */
function addAll(list: string[], more: readonly string[]): void {
  for (const one of more) list.push(one);
}

/** `execute_tool lookup_patient`, `tools/call lookup_patient`, `lookup_patient`. */
function spanNames(name: string): string[] {
  return [name, ...name.split(/[\s/]+/)];
}

function readAttribute(bytes: Buffer, reader: WireReader, names: Names): void {
  let key = "";
  const values: string[] = [];
  while (reader.next()) {
    if (reader.wireType !== LENGTH_DELIMITED) continue;
    if (reader.field === 1) key = text(bytes, reader);
    if (reader.field === 2) readStrings(bytes, reader.message(), values);
  }
  if (toolNameKeys.has(key)) addAll(names.tools, values);
  if (collectionKeys.has(key)) addAll(names.collections, values);
  if (queryKeys.has(key)) addAll(names.queries, values);
}

/** The string of an AnyValue, or those of its list. */
function readStrings(bytes: Buffer, reader: WireReader, values: string[]): void {
  while (reader.next()) {
    if (reader.wireType !== LENGTH_DELIMITED) continue;
    if (reader.field === 1) values.push(text(bytes, reader));
    if (reader.field !== 5) continue;
    const list = reader.message();
    while (list.next()) {
      if (list.field !== 1 || list.wireType !== LENGTH_DELIMITED) continue;
      const element = list.message();
      while (element.next()) {
        if (element.field === 1 && element.wireType === LENGTH_DELIMITED) {
          values.push(text(bytes, element));
        }
      }
    }
  }
}

/** The name itself, or behind the name of its server: `hospital.lookup_patient`, `mcp__a__b`. */
function isTool(name: string, tool: string): boolean {
  if (name === tool) return true;
  if (!name.endsWith(tool)) return false;
  const before = name.slice(0, -tool.length);
  return /[./:-]$|__$|^mcp_\w+_$/.test(before);
}

function isCollection({ collections, queries }: Names, collection: string): boolean {
  const wanted = collection.toLowerCase();
  const named = collections.some((name) => {
    const lower = name.toLowerCase();
    return lower === wanted || lower.endsWith(`.${wanted}`);
  });
  if (named) return true;
  const escaped = wanted.replace(/[^a-z0-9_]/g, "\\$&");
  const mention = new RegExp(
    `(?:(?:from|join|into|update|table|select|insert|delete)\\s+|,\\s*)` +
      `(?:[\\w"\`[\\]]{1,64}\\.){0,3}["\`[]?${escaped}(?![\\w.])`,
    "i",
  );
  return queries.some((query) => mention.test(query));
}
