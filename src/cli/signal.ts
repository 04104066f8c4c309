/** Tells the encoding and signal of an OTLP request body by its content. */
import { isUtf8 } from "node:buffer";
import { idBytes, REQUEST, SIGNALS } from "../audit/otlp/schema.ts";
import type { Field, Message, Signal } from "../audit/otlp/schema.ts";
import {
  FIXED32,
  FIXED64,
  LENGTH_DELIMITED,
  VARINT,
  WireError,
  WireReader,
} from "../bytes/wire.ts";
import { nestingDepthMax } from "../limits.ts";

const OPEN_BRACE = 0x7b;
const BYTE_ORDER_MARK = 0xef;
const LINE_FEED = 0x0a;
/** Longer than a first message whose length is that of a brace. */
const LOOK_BYTES = 256;
const SPACES: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** A protobuf request begins with the tag of field 1, which as text is a line feed. */
export function isJson(body: Uint8Array): boolean {
  const first = body.find((byte) => !SPACES.has(byte));
  if (body[0] !== LINE_FEED) return first === OPEN_BRACE || first === BYTE_ORDER_MARK;
  // A message of 123 bytes has a brace for its length; its own tags are no characters of JSON.
  return first === OPEN_BRACE && !body.subarray(0, LOOK_BYTES).some(isControl);
}

function isControl(byte: number): boolean {
  return byte < 0x20 && !SPACES.has(byte);
}

/** `traces` where the content does not tell: an empty request has no signal of its own. */
export function guessSignal(body: Uint8Array): Signal {
  if (isJson(body)) {
    const member = /"resource(Spans|Logs|Metrics)"/.exec(Buffer.from(body).toString("latin1"))?.[1];
    return member === "Logs" ? "logs" : member === "Metrics" ? "metrics" : "traces";
  }
  const readings = SIGNALS.map((signal) => ({ signal, fit: fitOf(REQUEST[signal], body) }));
  return readings.toSorted((left, right) => compareFits(left.fit, right.fit))[0]!.signal;
}

/** How well bytes read as a message: the three signals share most of their shape, not all of it. */
interface Fit {
  known: number;
  misfits: number;
}

/** Fewer misfits first, then more that is known; a stable sort leaves ties to the earlier signal. */
function compareFits(left: Fit, right: Fit): number {
  return left.misfits - right.misfits || right.known - left.known;
}

function fitOf(message: Message, body: Uint8Array): Fit {
  const fit = { known: 0, misfits: 0 };
  judgeMessage(new WireReader(body), { message, depth: 0, fit });
  return fit;
}

interface Judging {
  readonly message: Message;
  readonly depth: number;
  readonly fit: Fit;
}

/** What is wrong with the bytes is said when they are read for good; here it is one more misfit. */
function judgeMessage(reader: WireReader, { message, depth, fit }: Judging): void {
  try {
    while (reader.next()) {
      const field = message.byNumber[reader.field];
      if (field === undefined || !fitsField(reader, field) || depth > nestingDepthMax) {
        fit.misfits++;
        continue;
      }
      fit.known++;
      if (field.message === undefined) continue;
      judgeMessage(reader.message(), { message: field.message, depth: depth + 1, fit });
    }
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    fit.misfits++;
  }
}

function fitsField(reader: WireReader, field: Field): boolean {
  const isDelimited = reader.wireType === LENGTH_DELIMITED;
  // Repeated numbers may be packed.
  const isPacked = isDelimited && field.repeated;
  if (field.kind === "message" || field.kind === "bytes") return isDelimited;
  if (field.kind === "string") return isDelimited && isUtf8(reader.payload());
  if (field.kind === "id") return isDelimited && isIdLength(field, reader.stop - reader.start);
  if (field.kind === "fixed32") return reader.wireType === FIXED32;
  const isFixed = field.kind === "double" || field.kind.endsWith("fixed64");
  return reader.wireType === (isFixed ? FIXED64 : VARINT) || isPacked;
}

/** An id that is not set may be there without a byte. */
function isIdLength(field: Field, bytes: number): boolean {
  return bytes === 0 || bytes === idBytes(field);
}
