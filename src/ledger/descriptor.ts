/** `ledger.json`: what a ledger is, fixed at its creation and part of every key and genesis value. */
import { canonicalize, parseCanonical, type JsonValue } from "../bytes/canonical-json.ts";
import { fromHex, toHex } from "../bytes/hex.ts";
import { decodeUtf8, encodeUtf8 } from "../bytes/utf8.ts";
import { descriptorBytesMax } from "../limits.ts";
import { PREFIX, prefixedDigest } from "./digest.ts";
import { FormatError } from "./format-error.ts";

const LEDGER_FORMAT = "spanseal.ledger/v1";
export const instanceBytes = 16;

/** The only suite of version 1; a reader refuses any other. */
const ALGORITHMS = {
  derivation: "HKDF-SHA256",
  digest: "SHA-256",
  mac: "HMAC-SHA256",
  signature: "Ed25519",
  tree: "RFC6962-SHA256",
} as const;

/** The ledger that this one goes on from, as it was when it ended. */
interface Predecessor {
  /** Full origin. */
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

export interface Descriptor {
  /** Nanoseconds since 1970 as a decimal number. */
  readonly created: string;
  /** Raw Ed25519 public key of the first log key. A statement, not a reason to trust it. */
  readonly firstLogKey: Uint8Array;
  /** 16 random bytes. */
  readonly instance: Uint8Array;
  /** Base origin, without the instance. */
  readonly origin: string;
  readonly predecessor: Predecessor | null;
}

/** The log's origin, and its prefix in a bucket: base origin, slash, instance. */
export function fullOrigin(descriptor: Pick<Descriptor, "origin" | "instance">): string {
  return `${descriptor.origin}/${toHex(descriptor.instance)}`;
}

/** True for a schema-less name that can be a path: `audit.example.com/prod`. */
export function isOrigin(text: string): boolean {
  if (text.length > 200) return false;
  return /^[A-Za-z0-9_~-][A-Za-z0-9._~-]*(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$/.test(text);
}

/** The bytes of `ledger.json`: canonical JSON, nothing before or after. */
export function encodeDescriptor(descriptor: Descriptor): Uint8Array {
  const { predecessor } = descriptor;
  const value: JsonValue = {
    algorithms: ALGORITHMS,
    created: descriptor.created,
    first_log_key: toHex(descriptor.firstLogKey),
    format: LEDGER_FORMAT,
    instance: toHex(descriptor.instance),
    origin: descriptor.origin,
    predecessor:
      predecessor === null
        ? null
        : { origin: predecessor.origin, root: toHex(predecessor.root), size: predecessor.size },
  };
  return encodeUtf8(canonicalize(value));
}

/** @throws FormatError unless `bytes` is what `encodeDescriptor` gives. */
export function parseDescriptor(bytes: Uint8Array): Descriptor {
  if (bytes.length > descriptorBytesMax) {
    throw new FormatError("bad_descriptor", `descriptor over ${descriptorBytesMax} bytes`);
  }
  const descriptor = readDescriptor(bytes);
  // Every member is in the encoding, so equal bytes leave no room for unknown ones.
  if (Buffer.compare(encodeDescriptor(descriptor), bytes) !== 0) {
    throw new FormatError("bad_descriptor", `not a descriptor of format ${LEDGER_FORMAT}`);
  }
  return descriptor;
}

function readDescriptor(bytes: Uint8Array): Descriptor {
  try {
    const value = members(parseCanonical(decodeUtf8(bytes)));
    const predecessor = value["predecessor"] === null ? null : members(value["predecessor"]);
    return {
      created: decimal(value["created"]),
      firstLogKey: fromHex(string(value["first_log_key"]), 32),
      instance: fromHex(string(value["instance"]), instanceBytes),
      origin: origin(value["origin"]),
      predecessor: predecessor === null ? null : readPredecessor(predecessor),
    };
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    const reason = cause instanceof Error ? cause.message : "unreadable";
    throw new FormatError("bad_descriptor", `descriptor: ${reason}`, { cause });
  }
}

function readPredecessor(value: Record<string, JsonValue | undefined>): Predecessor {
  const size = value["size"];
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    throw new FormatError("bad_descriptor", "size of the predecessor is not a count");
  }
  return {
    origin: origin(value["origin"]),
    size,
    root: fromHex(string(value["root"]), 32),
  };
}

export function descriptorDigest(bytes: Uint8Array): Uint8Array {
  return prefixedDigest(PREFIX.descriptor, bytes);
}

function members(value: JsonValue | undefined): Record<string, JsonValue | undefined> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, JsonValue | undefined>;
  }
  throw new FormatError("bad_descriptor", "expected an object");
}

function string(value: JsonValue | undefined): string {
  if (typeof value === "string") return value;
  throw new FormatError("bad_descriptor", "expected a text");
}

function decimal(value: JsonValue | undefined): string {
  const text = string(value);
  if (/^(?:0|[1-9]\d{0,19})$/.test(text)) return text;
  throw new FormatError("bad_descriptor", "created is not a decimal number");
}

function origin(value: JsonValue | undefined): string {
  const text = string(value);
  if (isOrigin(text)) return text;
  throw new FormatError("bad_descriptor", "origin is not a schema-less name");
}
