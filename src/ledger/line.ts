/**
 * One line of a segment: `{"head":H,"mac":"<hex>","body":B}` LF, where H and B are canonical JSON.
 * Read by template, byte for byte; there is exactly one line for what it holds.
 */
import { isCanonicalObject } from "../bytes/canonical-scan.ts";
import { fromHex, toHex } from "../bytes/hex.ts";
import { bodyDepthMax, chainNameCharsMax, lineBytesMax } from "../limits.ts";
import { FormatError } from "./format-error.ts";

export interface Head {
  readonly bodyDigest: Uint8Array;
  /** MAC of an earlier record with this id and other content; only where there is one. */
  readonly conflictOf?: Uint8Array;
  /** Index of the first record that was written with this one. */
  readonly group: number;
  /** 16 bytes. */
  readonly id: Uint8Array;
  /** Place in the log, from 0. */
  readonly index: number;
  /** Name of the chain key's epoch: `<epoch>:<key-check value>`. */
  readonly key: string;
  /** `action` or the name of a control record. */
  readonly kind: string;
  readonly namespace: string;
  readonly previousMac: Uint8Array;
  /** Place in the chain, from 1. */
  readonly sequence: number;
  readonly tenant: string;
  /** Nanoseconds since 1970 as a decimal number. */
  readonly time: string;
  /** The ledger's instance, 16 bytes. */
  readonly writer: Uint8Array;
}

export interface ParsedLine {
  readonly head: Head;
  /** The bytes that the MAC covers. */
  readonly headBytes: Uint8Array;
  readonly mac: Uint8Array;
  /** Absent where the body was erased. */
  readonly body?: Uint8Array;
}

const LINE_START = '{"head":';
const MAC_START = ',"mac":"';
const BODY_START = '","body":';

/** Canonical JSON. Names, kind and key have no character that JSON would escape. */
export function encodeHead(head: Head): string {
  const conflict =
    head.conflictOf === undefined ? "" : `"conflict_of":"${toHex(head.conflictOf)}",`;
  return (
    `{"body_digest":"${toHex(head.bodyDigest)}",${conflict}"group":${head.group},` +
    `"id":"${toHex(head.id)}","index":${head.index},"key":"${head.key}","kind":"${head.kind}",` +
    `"namespace":"${head.namespace}","previous_mac":"${toHex(head.previousMac)}",` +
    `"sequence":${head.sequence},"tenant":"${head.tenant}","time":"${head.time}",` +
    `"version":1,"writer":"${toHex(head.writer)}"}`
  );
}

/** The line with its line feed; without `body` it is that of an erased record. */
export function encodeLine(
  headText: string,
  mac: Uint8Array,
  body: Uint8Array | undefined,
): Uint8Array {
  const start = Buffer.from(`${LINE_START}${headText}${MAC_START}${toHex(mac)}`);
  if (body === undefined) return Buffer.concat([start, Buffer.from('"}\n')]);
  return Buffer.concat([start, Buffer.from(BODY_START), body, Buffer.from("}\n")]);
}

/** @throws FormatError unless `bytes` (without line feed) is the one encoding of its content. */
export function parseLine(bytes: Uint8Array): ParsedLine {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const line = scanLine(buffer, 0, buffer.length);
  const { conflictOf, bodyStart, bodyEnd } = line;
  if (!isCanonicalBody(buffer, line)) {
    throw new FormatError("bad_body", "the body is not a canonical JSON object");
  }
  return {
    head: {
      bodyDigest: fromHex(line.bodyDigest),
      ...(conflictOf === undefined ? {} : { conflictOf: fromHex(conflictOf) }),
      group: line.group,
      id: fromHex(line.id),
      index: line.index,
      key: line.key,
      kind: line.kind,
      namespace: line.namespace,
      previousMac: fromHex(line.previousMac),
      sequence: line.sequence,
      tenant: line.tenant,
      time: line.time,
      writer: fromHex(line.writer),
    },
    headBytes: bytes.subarray(line.headStart, line.headEnd),
    mac: fromHex(line.mac),
    ...(bodyStart < 0 ? {} : { body: bytes.subarray(bodyStart, bodyEnd) }),
  };
}

/** A line as bounds and hexadecimal text: what the verifier needs, without copies. */
export interface ScannedLine {
  readonly headStart: number;
  readonly headEnd: number;
  /** -1 where the body was erased. */
  readonly bodyStart: number;
  readonly bodyEnd: number;
  readonly mac: string;
  readonly bodyDigest: string;
  readonly conflictOf: string | undefined;
  readonly group: number;
  readonly id: string;
  readonly index: number;
  readonly key: string;
  readonly kind: string;
  readonly namespace: string;
  readonly previousMac: string;
  readonly sequence: number;
  readonly tenant: string;
  readonly time: string;
  readonly writer: string;
}

export function isCanonicalBody(bytes: Buffer, line: ScannedLine): boolean {
  if (line.bodyStart < 0) return true;
  return isCanonicalObject(bytes, { start: line.bodyStart, end: line.bodyEnd }, bodyDepthMax);
}

/** The template, part by part: what the part is called in messages, and its pattern. */
const TEMPLATE: readonly (readonly [string, string])[] = [
  ["the start of a line", '\\{"head":\\{'],
  ["body_digest", '"body_digest":"([0-9a-f]{64})",'],
  ["conflict_of", '(?:"conflict_of":"([0-9a-f]{64})",)?'],
  ["group", '"group":(0|[1-9][0-9]{0,15}),'],
  ["id", '"id":"([0-9a-f]{32})",'],
  ["index", '"index":(0|[1-9][0-9]{0,15}),'],
  ["key", '"key":"([1-9][0-9]{0,14}:[0-9a-f]{8})",'],
  ["kind", '"kind":"([a-z_]{1,32})",'],
  ["namespace", `"namespace":"((?! )[ !#-[\\]-~]{1,${chainNameCharsMax}}(?<! ))",`],
  ["previous_mac", '"previous_mac":"([0-9a-f]{64})",'],
  ["sequence", '"sequence":([1-9][0-9]{0,15}),'],
  ["tenant", `"tenant":"((?! )[ !#-[\\]-~]{1,${chainNameCharsMax}}(?<! ))",`],
  ["time", '"time":"(0|[1-9][0-9]{0,19})",'],
  ["version 1", '"version":1,'],
  ["writer", '"writer":"([0-9a-f]{32})"\\}'],
  ["mac", ',"mac":"([0-9a-f]{64})"'],
  ["a body or the end of the line", '(,"body":(?=\\{)|\\}$)'],
];
const LINE = new RegExp(`^${TEMPLATE.map(([, pattern]) => pattern).join("")}`);
/** Enough characters for the longest head and MAC, whatever the body. */
const templateCharsMax = 1024;
/** `,"mac":"` … `"` between head and what follows the MAC. */
const macPartChars = MAC_START.length + 64 + 1;

/**
 * Matches head, MAC and the frame of the body in `bytes[start, end)`; the body itself is not looked
 * at. First parse of bytes that anybody may have written.
 *
 * @throws FormatError naming the first member that does not fit.
 */
export function scanLine(bytes: Buffer, start: number, end: number): ScannedLine {
  if (end - start > lineBytesMax) {
    throw new FormatError("bad_line", `line of ${end - start} bytes, at most ${lineBytesMax}`);
  }
  // All of the template is ASCII, so one byte is one character as far as it goes.
  const text = bytes.toString("latin1", start, Math.min(end, start + templateCharsMax));
  const match = LINE.exec(text);
  if (match === null) throw mismatch(text);
  const matched = match[0].length;
  const tail = match[15]!;
  const hasBody = tail !== "}";
  if (hasBody ? bytes[end - 1] !== CLOSE || bytes[end - 2] !== CLOSE : matched !== end - start) {
    throw new FormatError("bad_line", "expected the line to end with its body");
  }
  return {
    headStart: start + LINE_START.length,
    headEnd: start + matched - tail.length - macPartChars,
    bodyStart: hasBody ? start + matched : -1,
    bodyEnd: hasBody ? end - 1 : -1,
    bodyDigest: match[1]!,
    conflictOf: match[2],
    group: integer(match[3]!, "group"),
    id: match[4]!,
    index: integer(match[5]!, "index"),
    key: match[6]!,
    kind: match[7]!,
    namespace: match[8]!,
    previousMac: match[9]!,
    sequence: integer(match[10]!, "sequence"),
    tenant: match[11]!,
    time: match[12]!,
    writer: match[13]!,
    mac: match[14]!,
  };
}

const CLOSE = 0x7d;

function integer(text: string, member: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new FormatError("bad_head", `${member} is not below 2^53`);
}

/** The first part of the template that does not match, and where. */
function mismatch(text: string): FormatError {
  let at = 0;
  for (const [name, pattern] of TEMPLATE) {
    const part = new RegExp(pattern, "y");
    part.lastIndex = at;
    if (!part.test(text)) {
      const code = at < LINE_START.length || name === "mac" ? "bad_line" : "bad_head";
      return new FormatError(code, `expected ${name} at byte ${at} of the line`);
    }
    at = part.lastIndex;
  }
  return new FormatError("bad_line", "the line does not match its template");
}
