/**
 * What a spool remembers beside its entries: how far the sink has taken them, and what the log was
 * known to hold. One small file, replaced whole; a crash may lose the last moves (entries are then
 * sent twice), never the entries.
 */
import { crc32 } from "node:zlib";
import { canonicalize, parseCanonical } from "../bytes/canonical-json.ts";
import type { JsonValue } from "../bytes/canonical-json.ts";
import { decodeUtf8, encodeUtf8 } from "../bytes/utf8.ts";
import { ForwardError } from "./forward-error.ts";

const format = "spanseal.spool.cursor/v1";

/** A time in which entries were not spooled because the queue was full. */
export interface Suspension {
  readonly sinceUnixMs: number;
  /** Requests, their bytes and their items that were not spooled. */
  entries: number;
  bytes: number;
  items: number;
  /** Smallest index range around their records. */
  first: number;
  end: number;
  /** The control record of its start is durable. */
  startRecorded: boolean;
  /** Entries are spooled again. */
  over: boolean;
  /** False where a crash may have lost a part of the counts. */
  countsComplete: boolean;
}

export interface CursorState {
  /** Number of the next entry to send: all before it are done. */
  readonly next: number;
  /** Entries below this number were committed, so they must be found whole. */
  readonly committed: number;
  /** The largest log size that was reported. */
  readonly logSize: number;
  readonly suspensions: readonly Suspension[];
}

export function encodeCursor(state: CursorState): Uint8Array {
  const text = canonicalize({
    format,
    next: state.next,
    committed: state.committed,
    log_size: state.logSize,
    suspensions: state.suspensions.map((suspension) => ({ ...suspension })),
  });
  return encodeUtf8(`${text}\n${checksum(text)}\n`);
}

const sendAgain =
  "remove the file to send every entry that is still in the spool again " +
  "(the sink may see some twice)";

/** @throws ForwardError `spool_damaged` where the bytes are not what `encodeCursor` writes. */
export function parseCursor(bytes: Uint8Array, path: string): CursorState {
  try {
    const [text, sum, rest] = decodeUtf8(bytes).split("\n") as [string, string, string];
    if (rest !== "" || sum !== checksum(text)) throw new SyntaxError("checksum does not match");
    const value = parseCanonical(text) as Record<string, JsonValue>;
    if (value["format"] !== format) throw new SyntaxError(`expected format ${format}`);
    return {
      next: integer(value["next"]),
      committed: integer(value["committed"]),
      logSize: integer(value["log_size"]),
      suspensions: parseSuspensions(value["suspensions"]),
    };
  } catch (error) {
    throw new ForwardError("spool_damaged", `reading the spool's cursor ${path}: it is damaged`, {
      remedy: sendAgain,
      cause: error,
    });
  }
}

function parseSuspensions(value: JsonValue | undefined): Suspension[] {
  if (!Array.isArray(value)) throw new SyntaxError("expected a list of suspensions");
  return value.map((one: JsonValue) => {
    const members = one as Readonly<Record<string, JsonValue>>;
    return {
      sinceUnixMs: integer(members["sinceUnixMs"]),
      entries: integer(members["entries"]),
      bytes: integer(members["bytes"]),
      items: integer(members["items"]),
      first: integer(members["first"]),
      end: integer(members["end"]),
      startRecorded: boolean(members["startRecorded"]),
      over: boolean(members["over"]),
      countsComplete: boolean(members["countsComplete"]),
    };
  });
}

function boolean(value: JsonValue | undefined): boolean {
  if (typeof value !== "boolean") throw new SyntaxError("expected true or false");
  return value;
}

function integer(value: JsonValue | undefined): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new SyntaxError("expected a non-negative integer");
  }
  return value;
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, "0");
}
