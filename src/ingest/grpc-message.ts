/**
 * The one message of a unary gRPC call ("Length-Prefixed-Message" of the gRPC over HTTP/2
 * specification): a flag, four bytes of length, the message.
 */
import { Body } from "./body.ts";
import type { Admission } from "./budget.ts";
import type { Received } from "./exchange.ts";
import { type Encoding, tooLarge } from "./inflate.ts";
import { Refusal } from "./refusal.ts";

const prefixBytes = 5;

/** What a sender may use, as `grpc-accept-encoding` says it. */
export const GRPC_ENCODINGS = "identity,gzip";

/** An Export…ServiceResponse without members. */
export const EMPTY_MESSAGE: Buffer = Buffer.alloc(prefixBytes);

/** Collects the message from the chunks of a stream. The bytes are the sender's. */
export class MessageReader {
  private readonly bytesMax: number;
  private readonly admission: Admission;
  private readonly onLength: (bytes: number) => void;
  private readonly prefix = Buffer.alloc(prefixBytes);
  /** Bytes of the prefix that came so far. */
  private prefixSize = 0;
  /** Both known when the prefix is complete. */
  private length = 0;
  private body: Body | undefined;

  /** @param onLength told as soon as the length is known; what it throws ends the reading */
  constructor(
    bytesMax: number,
    admission: Admission,
    onLength: (bytes: number) => void = () => undefined,
  ) {
    this.bytesMax = bytesMax;
    this.admission = admission;
    this.onLength = onLength;
  }

  /** @throws Refusal `too_large` as soon as the length is known, `overloaded`, `malformed` */
  push(chunk: Buffer): void {
    let rest = chunk;
    if (this.body === undefined) {
      const taken = chunk.copy(this.prefix, this.prefixSize, 0);
      this.prefixSize += taken;
      if (this.prefixSize < prefixBytes) return;
      this.body = this.readPrefix();
      rest = chunk.subarray(taken);
    }
    if (rest.length === 0) return;
    if (rest.length > this.length - this.body.size) {
      throw new Refusal("malformed", "expected one message, received more bytes after it");
    }
    this.body.push(rest);
  }

  private readPrefix(): Body {
    if (this.prefix[0]! > 1) {
      throw new Refusal(
        "malformed",
        `expected the compressed flag 0 or 1, received ${this.prefix[0]}`,
      );
    }
    this.length = this.prefix.readUInt32BE(1);
    if (this.length > this.bytesMax) throw tooLarge(`has more than ${this.bytesMax} bytes`);
    this.onLength(this.length);
    return new Body(this.admission, this.length);
  }

  /**
   * The message, after the end of the stream.
   *
   * @param named the header `grpc-encoding`, which counts for a compressed message only
   * @throws Refusal `malformed`, `unsupported_encoding`
   */
  finish(named: string | undefined): Received {
    const { body } = this;
    if (body === undefined || body.size < this.length) {
      throw new Refusal("malformed", "the stream ended before its message did");
    }
    return {
      bytes: body.bytes(),
      encoding: this.prefix[0] === 0 ? "identity" : grpcEncoding(named),
    };
  }
}

function grpcEncoding(named: string | undefined): Encoding {
  if (named === "gzip") return "gzip";
  if (named === undefined || named === "identity") {
    throw new Refusal("malformed", "the message is marked as compressed, but not how");
  }
  throw new Refusal("unsupported_encoding", `expected the message encoding ${GRPC_ENCODINGS}`);
}

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};
/** The longest that a timer can wait. */
const timerMsMax = 2 ** 31 - 1;

/**
 * The header `grpc-timeout` in milliseconds, or undefined where there is none.
 *
 * @throws Refusal `malformed`
 */
export function timeoutMs(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const match = /^(\d{1,8})([HMSmun])$/.exec(header);
  if (match === null) throw new Refusal("malformed", "expected a grpc-timeout such as 10S");
  return Math.min(Number(match[1]) * UNIT_MS[match[2]!]!, timerMsMax);
}

/** `grpc-message`: UTF-8, and all but printable ASCII percent-encoded, the percent sign too. */
export function percentEncode(text: string): string {
  let encoded = "";
  for (const byte of Buffer.from(text, "utf8")) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
