/**
 * One line of a segment: `{"head":H,"mac":"<hex>","body":B}` LF, where H and B are canonical JSON.
 * Read by template, byte for byte; there is exactly one line for what it holds.
 */
import { isCanonicalObject } from "../bytes/canonical-scan.ts";
import { fromHex, toHex } from "../bytes/hex.ts";
import { recordIdBytes } from "../audit/prepared-batch.ts";
import { bodyDepthMax, lineBytesMax } from "../limits.ts";
import { instanceBytes } from "./descriptor.ts";
import { digestBytes } from "./digest.ts";
import { FormatError } from "./format-error.ts";
import { LineCursor, part } from "./line-cursor.ts";

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
  /** Absent in a proof, and where the body was removed. */
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

/** The line with its line feed; without `body` it is the form that stands in proofs. */
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
  if (!line.isCanonicalBody) {
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

/** The template; each part is the fixed text before a value. */
const PART = {
  bodyDigest: part("body_digest", `${LINE_START}{"body_digest":"`),
  conflictOf: part("conflict_of", '","conflict_of":"'),
  group: part("group", '","group":'),
  id: part("id", ',"id":"'),
  index: part("index", '","index":'),
  key: part("key", ',"key":"'),
  kind: part("kind", '","kind":"'),
  namespace: part("namespace", '","namespace":"'),
  previousMac: part("previous_mac", '","previous_mac":"'),
  sequence: part("sequence", '","sequence":'),
  tenant: part("tenant", ',"tenant":"'),
  time: part("time", '","time":"'),
  writer: part("version 1 and writer", '","version":1,"writer":"'),
  mac: part("mac", `"}${MAC_START}`, "bad_line"),
  body: part("a body", BODY_START),
  end: part("a body or the end of the line", '"}', "bad_line"),
};
const CLOSE = 0x7d;
const OPEN = 0x7b;
const macDigits = 2 * digestBytes;
const idDigits = 2 * recordIdBytes;
const writerDigits = 2 * instanceBytes;
const cursor = new LineCursor();

/**
 * A line as places in its bytes: what a reader needs, without copies. Texts are made where they are
 * asked for; all of it holds as long as the bytes do.
 */
export class ScannedLine {
  bytes: Buffer = Buffer.alloc(0);
  headStart = 0;
  headEnd = 0;
  /** -1 where there is no body. */
  bodyStart = 0;
  bodyEnd = 0;
  group = 0;
  index = 0;
  sequence = 0;
  bodyDigestAt = 0;
  /** -1 where there is none. */
  conflictOfAt = 0;
  idAt = 0;
  keyAt = 0;
  keyEnd = 0;
  kindAt = 0;
  kindEnd = 0;
  namespaceAt = 0;
  namespaceEnd = 0;
  previousMacAt = 0;
  tenantAt = 0;
  tenantEnd = 0;
  timeAt = 0;
  timeEnd = 0;
  writerAt = 0;
  macAt = 0;

  /**
   * Matches head, MAC and the frame of the body in `bytes[start, end)`; the body itself is not
   * looked at. First parse of bytes that anybody may have written.
   *
   * @throws FormatError naming the first member that does not fit.
   */
  scan(bytes: Buffer, start: number, end: number): this {
    if (end - start > lineBytesMax) {
      throw new FormatError("bad_line", `line of ${end - start} bytes, at most ${lineBytesMax}`);
    }
    cursor.begin(bytes, start, end);
    this.bytes = bytes;
    this.headStart = start + LINE_START.length;
    // In the order of the line: each step begins where the one before it ended.
    this.bodyDigestAt = cursor.hex(PART.bodyDigest, macDigits);
    this.conflictOfAt = cursor.sees(PART.conflictOf) ? cursor.hex(PART.conflictOf, macDigits) : -1;
    this.group = cursor.integer(PART.group);
    this.idAt = cursor.hex(PART.id, idDigits);
    this.index = cursor.integer(PART.index);
    this.keyAt = cursor.keyName(PART.key);
    this.keyEnd = cursor.at;
    this.kindAt = cursor.kind(PART.kind);
    this.kindEnd = cursor.at;
    this.namespaceAt = cursor.chainName(PART.namespace);
    this.namespaceEnd = cursor.at;
    this.previousMacAt = cursor.hex(PART.previousMac, macDigits);
    this.sequence = sequenceOf();
    this.tenantAt = cursor.chainName(PART.tenant);
    this.tenantEnd = cursor.at;
    this.timeAt = cursor.time(PART.time);
    this.timeEnd = cursor.at;
    this.writerAt = cursor.hex(PART.writer, writerDigits);
    this.macAt = cursor.hex(PART.mac, macDigits);
    this.headEnd = this.macAt - MAC_START.length;
    this.bodyStart = bodyStartOf(bytes, end);
    this.bodyEnd = this.bodyStart < 0 ? -1 : end - 1;
    return this;
  }

  get bodyDigest(): string {
    return this.#text(this.bodyDigestAt, this.bodyDigestAt + macDigits);
  }

  get conflictOf(): string | undefined {
    const at = this.conflictOfAt;
    return at < 0 ? undefined : this.#text(at, at + macDigits);
  }

  get id(): string {
    return this.#text(this.idAt, this.idAt + idDigits);
  }

  get key(): string {
    return this.#text(this.keyAt, this.keyEnd);
  }

  get kind(): string {
    return this.#text(this.kindAt, this.kindEnd);
  }

  get isAction(): boolean {
    return holdsText(this.bytes, this.kindAt, this.kindEnd, ACTION);
  }

  get namespace(): string {
    return this.#text(this.namespaceAt, this.namespaceEnd);
  }

  get previousMac(): string {
    return this.#text(this.previousMacAt, this.previousMacAt + macDigits);
  }

  get tenant(): string {
    return this.#text(this.tenantAt, this.tenantEnd);
  }

  get time(): string {
    return this.#text(this.timeAt, this.timeEnd);
  }

  get writer(): string {
    return this.#text(this.writerAt, this.writerAt + writerDigits);
  }

  get mac(): string {
    return this.#text(this.macAt, this.macAt + macDigits);
  }

  /** True also where there is no body. */
  get isCanonicalBody(): boolean {
    const { bytes, bodyStart: start, bodyEnd: end } = this;
    return start < 0 || isCanonicalObject(bytes, { start, end }, bodyDepthMax);
  }

  #text(start: number, end: number): string {
    return this.bytes.toString("latin1", start, end);
  }
}

const ACTION = Buffer.from("action", "latin1");

/** True where `bytes[start, end)` is `text`. */
// oxlint-disable-next-line max-params -- places in bytes, on the hot path
export function holdsText(
  bytes: Uint8Array,
  start: number,
  end: number,
  text: Uint8Array,
): boolean {
  if (end - start !== text.length) return false;
  for (let at = 0; at < text.length; at++) if (bytes[start + at] !== text[at]) return false;
  return true;
}

export function scanLine(bytes: Buffer, start: number, end: number): ScannedLine {
  return new ScannedLine().scan(bytes, start, end);
}

function sequenceOf(): number {
  const sequence = cursor.integer(PART.sequence);
  if (sequence > 0) return sequence;
  throw new FormatError("bad_head", "sequence is 0, the first is 1");
}

/** Where the body begins; -1 where the line ends without one. */
function bodyStartOf(bytes: Buffer, end: number): number {
  if (!cursor.sees(PART.body)) {
    cursor.expect(PART.end);
    if (cursor.at === end) return -1;
  } else {
    cursor.expect(PART.body);
    const isFramed =
      bytes[cursor.at] === OPEN && bytes[end - 1] === CLOSE && bytes[end - 2] === CLOSE;
    if (isFramed) return cursor.at;
  }
  throw new FormatError("bad_line", "expected the line to end with its body");
}
