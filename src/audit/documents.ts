/** The ids of retrieved documents: OpenTelemetry sends `[{id, score, …}]`, as a list or as JSON. */
import { canonicalize } from "../bytes/canonical-json.ts";
import { encodeUtf8 } from "../bytes/utf8.ts";
import { ABSENT, type Draft } from "./draft.ts";
import { writeValue, type ValuePlace } from "./json-value.ts";
import { JsonWriter } from "./json-writer.ts";
import { MEMBER } from "./members.ts";
import { STRING } from "./walk/columns.ts";
import type { View } from "./walk/view.ts";

const DOCUMENTS = MEMBER["data.documents"];
const ROWS = MEMBER["data.rows"];

/**
 * Replaces a list of documents by their ids, and counts them where nothing else does. The list
 * itself, with its scores and texts, stays an attribute.
 */
export function takeDocuments(draft: Draft, { columns, bytes, attributes }: View): void {
  const row = draft.state[DOCUMENTS]! - 1;
  const place = {
    kind: columns.kind[row]!,
    start: columns.valueStart[row]!,
    stop: columns.valueStop[row]!,
  };
  const found = documentsIn(bytes, place);
  if (found === undefined) return;
  const position = row - attributes.base;
  if (position >= 0 && position < attributes.count) draft.used[position] = 0;
  draft.state[DOCUMENTS] = ABSENT;
  if (found.ids.length > 0)
    draft.setConstant("data.documents", encodeUtf8(canonicalize(found.ids)));
  if (draft.state[ROWS] !== ABSENT) return;
  draft.setConstant("data.rows", encodeUtf8(String(found.count)));
  draft.note(ROWS, "gen_ai.retrieval.documents");
}

interface Documents {
  readonly ids: readonly string[];
  /** Documents with or without an id. */
  readonly count: number;
}

/** @returns undefined where the value is no list that holds objects. */
function documentsIn(bytes: Uint8Array, place: ValuePlace): Documents | undefined {
  const list = valueOf(bytes, place);
  if (!Array.isArray(list)) return undefined;
  const objects = list.filter((one): one is object => typeof one === "object" && one !== null);
  if (objects.length === 0) return undefined;
  const ids = objects
    .map((one) => ("id" in one ? one.id : undefined))
    .filter((id) => typeof id === "string" || typeof id === "number")
    .map(String);
  return { ids, count: list.length };
}

function valueOf(bytes: Uint8Array, place: ValuePlace): unknown {
  const { kind, start, stop } = place;
  if (kind === STRING) {
    if (bytes[start] !== OPEN_LIST) return undefined;
    try {
      return JSON.parse(Buffer.from(bytes.subarray(start, stop)).toString()) as unknown;
    } catch {
      return undefined;
    }
  }
  const writer = new JsonWriter(new Uint8Array(stop - start + 64));
  writeValue(writer, bytes, place);
  return JSON.parse(Buffer.from(writer.bytes.subarray(0, writer.at)).toString()) as unknown;
}

const OPEN_LIST = 0x5b;
