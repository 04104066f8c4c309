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

/**
 * Matches head, MAC and the frame of the body in `bytes[start, end)`; the body itself is not looked
 * at. @throws FormatError naming the first member that does not fit.
 */
export function scanLine(bytes: Buffer, start: number, end: number): ScannedLine {
  if (end - start > lineBytesMax) {
    throw new FormatError("bad_line", `line of ${end - start} bytes, at most ${lineBytesMax}`);
  }
  const reader = new TemplateReader(bytes, start, end);
  reader.expect(LINE_START_BYTES);
  const head = scanHead(reader);
  reader.expect(MAC_START_BYTES);
  const mac = reader.hex(64, "mac");
  const hasBody = reader.takes(BODY_START_BYTES);
  if (!hasBody) {
    reader.expect(ERASED_END_BYTES);
    if (reader.at !== end) throw reader.failure("bad_line", "the end of the line");
    return { ...head, mac, bodyStart: -1, bodyEnd: -1 };
  }
  if (end - reader.at < 3 || bytes[end - 1] !== 0x7d) {
    throw reader.failure("bad_line", "a body and the end of the line");
  }
  return { ...head, mac, bodyStart: reader.at, bodyEnd: end - 1 };
}

type ScannedHead = Omit<ScannedLine, "mac" | "bodyStart" | "bodyEnd">;

function scanHead(reader: TemplateReader): ScannedHead {
  const headStart = reader.at;
  reader.expect(MEMBER.bodyDigest);
  const bodyDigest = reader.hex(64, "body_digest");
  const conflictOf = reader.takes(MEMBER.conflictOf) ? reader.hex(64, "conflict_of") : undefined;
  reader.expect(MEMBER.group);
  const group = reader.integer("group");
  reader.expect(MEMBER.id);
  const id = reader.hex(32, "id");
  reader.expect(MEMBER.index);
  const index = reader.integer("index");
  reader.expect(MEMBER.key);
  const key = reader.keyName();
  reader.expect(MEMBER.kind);
  const kind = reader.kind();
  reader.expect(MEMBER.namespace);
  const namespace = reader.name("namespace");
  reader.expect(MEMBER.previousMac);
  const previousMac = reader.hex(64, "previous_mac");
  reader.expect(MEMBER.sequence);
  const sequence = reader.integer("sequence");
  reader.expect(MEMBER.tenant);
  const tenant = reader.name("tenant");
  reader.expect(MEMBER.time);
  const time = reader.time();
  reader.expect(MEMBER.version);
  const writer = reader.hex(32, "writer");
  reader.expect(MEMBER.end);
  const headEnd = reader.at;
  return {
    headStart,
    headEnd,
    bodyDigest,
    conflictOf,
    group,
    id,
    index,
    key,
    kind,
    namespace,
    previousMac,
    sequence,
    tenant,
    time,
    writer,
  };
}

const LINE_START_BYTES = Buffer.from(LINE_START);
const MAC_START_BYTES = Buffer.from(MAC_START);
const BODY_START_BYTES = Buffer.from(BODY_START);
const ERASED_END_BYTES = Buffer.from('"}');
const MEMBER = {
  bodyDigest: Buffer.from('{"body_digest":"'),
  conflictOf: Buffer.from('","conflict_of":"'),
  group: Buffer.from('","group":'),
  id: Buffer.from(',"id":"'),
  index: Buffer.from('","index":'),
  key: Buffer.from(',"key":"'),
  kind: Buffer.from('","kind":"'),
  namespace: Buffer.from('","namespace":"'),
  previousMac: Buffer.from('","previous_mac":"'),
  sequence: Buffer.from('","sequence":'),
  tenant: Buffer.from(',"tenant":"'),
  time: Buffer.from('","time":"'),
  version: Buffer.from('","version":1,"writer":"'),
  end: Buffer.from('"}'),
} as const;

/** 1 for the digits 0-9 and a-f. */
const HEX = new Uint8Array(256);
for (const digit of "0123456789abcdef") HEX[digit.charCodeAt(0)] = 1;

/** First parse of bytes that anybody may have written. */
class TemplateReader {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  at: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.at = start;
  }

  failure(code: "bad_line" | "bad_head", expected: string): FormatError {
    return new FormatError(
      code,
      `expected ${expected} at byte ${this.at - this.start} of the line`,
    );
  }

  takes(literal: Buffer): boolean {
    const { bytes, at } = this;
    const { length } = literal;
    if (at + length > this.end) return false;
    for (let offset = 0; offset < length; offset++) {
      if (bytes[at + offset] !== literal[offset]) return false;
    }
    this.at = at + length;
    return true;
  }

  expect(literal: Buffer): void {
    if (!this.takes(literal)) throw this.failure("bad_line", literal.toString("latin1"));
  }

  hex(length: number, member: string): string {
    const { bytes, at } = this;
    const stop = at + length;
    if (stop > this.end) throw this.failure("bad_head", `${member} of ${length} hex digits`);
    for (let position = at; position < stop; position++) {
      if (HEX[bytes[position]!] === 0) {
        throw this.failure("bad_head", `${member} of ${length} lower-case hex digits`);
      }
    }
    this.at = stop;
    return bytes.toString("latin1", at, stop);
  }

  integer(member: string): number {
    const { bytes, at, end } = this;
    let position = at;
    let value = 0;
    while (position < end && bytes[position]! >= 0x30 && bytes[position]! <= 0x39) {
      value = value * 10 + bytes[position]! - 0x30;
      position++;
    }
    const digits = position - at;
    if (digits === 0 || digits > 16 || (digits > 1 && bytes[at] === 0x30)) {
      throw this.failure("bad_head", `${member} as a decimal number`);
    }
    if (!Number.isSafeInteger(value)) throw this.failure("bad_head", `${member} below 2^53`);
    this.at = position;
    return value;
  }

  /** Visible ASCII without quote and backslash, up to the closing quote, which is left. */
  name(member: string): string {
    const { bytes, at } = this;
    const limit = Math.min(this.end, at + chainNameCharsMax + 1);
    let position = at;
    while (position < limit && bytes[position] !== 0x22) {
      const byte = bytes[position]!;
      if (byte < 0x21 || byte > 0x7e || byte === 0x5c) {
        throw this.failure("bad_head", `${member} in visible ASCII without backslash`);
      }
      position++;
    }
    if (position === limit || position === at) {
      throw this.failure("bad_head", `${member} of 1 to ${chainNameCharsMax} characters`);
    }
    this.at = position;
    return bytes.toString("latin1", at, position);
  }

  keyName(): string {
    const at = this.at;
    const epoch = this.integer("the epoch of key");
    if (epoch === 0 || this.bytes[this.at] !== 0x3a) {
      throw this.failure("bad_head", "key as <epoch>:<8 hex digits>");
    }
    this.at++;
    this.hex(8, "key");
    return this.bytes.toString("latin1", at, this.at);
  }

  kind(): string {
    const { bytes, at } = this;
    let position = at;
    // Lower-case letters and underscores.
    while (position < this.end && (bytes[position] === 0x5f || isLetter(bytes[position]!))) {
      position++;
    }
    if (position === at || position - at > 32) throw this.failure("bad_head", "kind");
    this.at = position;
    return bytes.toString("latin1", at, position);
  }

  time(): string {
    const { bytes, at } = this;
    let position = at;
    while (position < this.end && bytes[position]! >= 0x30 && bytes[position]! <= 0x39) position++;
    const digits = position - at;
    if (digits === 0 || digits > 20 || (digits > 1 && bytes[at] === 0x30)) {
      throw this.failure("bad_head", "time as a decimal number");
    }
    this.at = position;
    return bytes.toString("latin1", at, position);
  }
}

function isLetter(byte: number): boolean {
  return byte >= 0x61 && byte <= 0x7a;
}
