/**
 * Bodies of control records, the records about Spanseal itself: canonical JSON with `schema`,
 * `nonce`, `kind` and the members of that kind, all of them and no other.
 */
import { canonicalize, parseCanonical, type JsonValue } from "../bytes/canonical-json.ts";
import { toHex } from "../bytes/hex.ts";
import { decodeUtf8, encodeUtf8 } from "../bytes/utf8.ts";
import { controlListMax, controlTextCharsMax } from "../limits.ts";
import { FormatError } from "./format-error.ts";

const CONTROL_SCHEMA = "spanseal.control/v1";

/** A sidecar took the ledger's lock: what may be expected from here on. */
export interface Opened {
  /** Starts of this ledger, from 1. */
  readonly boot: number;
  /** True where the record before is the seal that follows a `closed`, and at the first start. */
  readonly clean: boolean;
  readonly mode: string;
  /** The log's size at the start: the index of this record. */
  readonly previous_size: number;
  /** MAC of the record before this one; null at the first start. */
  readonly previous_tip: string | null;
  readonly publish_targets: readonly string[];
  readonly seal_interval_ms: number;
  readonly software_version: string;
}

/** An orderly end; one seal follows, then nothing of this boot. */
interface Closed {
  readonly boot: number;
  readonly reason: string;
}

/** The log was cut back to what is known to be whole, at a start or after a failed write. */
export interface Recovered {
  readonly boot: number;
  readonly discarded_bytes: number;
  /** SHA-256 of the bytes set aside; null where there were none. */
  readonly discarded_digest: string | null;
  /** Size to which the log was known to be durable before. */
  readonly known_committed: number;
  readonly reason: string;
  /** Size that the log was cut back to. */
  readonly recovery_point: number;
  /** Nanoseconds since 1970 of the recovery. */
  readonly time: string;
  /** Indexes `[first, end)` that may once have held other records; end null where unknown. */
  readonly unproven_end: number | null;
  readonly unproven_first: number | null;
}

/** Ends what a checkpoint covers: the state of all chains before this record. */
export interface Seal {
  /** Records of kind `action` since the seal before. */
  readonly action_count: number;
  readonly chain_count: number;
  /** Items that were received and lost since the seal before. */
  readonly drop_count: number;
  readonly gap_count: number;
  /** Seals of this ledger, from 1. */
  readonly number: number;
  /** All records since the seal before, without either seal. */
  readonly record_count: number;
  /** SHA-256 of a state snapshot, and the log size it was taken at; null where there is none. */
  readonly state_digest: string | null;
  readonly state_size: number | null;
  /** Root of the tips tree over all chains as they are before this record. */
  readonly tips_root: string;
}

/** Two records belong together, learned after both were written. */
interface Link {
  readonly reason: string;
  readonly record: string;
  readonly related: string;
}

/** Records after this one are under another key. */
export interface KeyRotated {
  /** `chain`: key name; `log`: verifier key. */
  readonly from: string;
  /** By the new key: an HMAC (`chain`) or an Ed25519 signature (`log`), see `rotation.ts`. */
  readonly proof: string;
  readonly purpose: "chain" | "log";
  readonly to: string;
}

interface PolicyChanged {
  /** Digests of the policy in force before and after. */
  readonly after: string;
  readonly before: string | null;
  readonly changes: readonly string[];
}

interface RedactionOff {
  readonly reason: string;
}

/** Wall clock and ledger clock differed by more than a second. Times in nanoseconds. */
interface ClockStepped {
  readonly ledger_time: string;
  readonly wall_time: string;
}

/** The operator's sink refused what it was sent for good. */
interface SinkRejected {
  /** Records `[first, end)` of the request that was refused. */
  readonly end: number;
  readonly first: number;
  /** Spans, log records or data points that the sink did not take; null where it does not say. */
  readonly item_count: number | null;
  readonly reason: string;
  readonly signal: string;
  readonly sink: string;
  readonly status: string;
}

/** The queue was full: requests were recorded and not forwarded. One record at either end. */
interface ForwardingSuspended {
  /** What was left out; zeros at the start. */
  readonly byte_count: number;
  /** False where a crash lost a part of the counts: they are the least that was left out. */
  readonly counts_complete: boolean;
  /** The records of those requests are in `[first, end)`; empty at the start. */
  readonly end: number;
  readonly first: number;
  /** Spans, log records or data points. */
  readonly item_count: number;
  readonly phase: "start" | "end";
  readonly request_count: number;
  readonly signal: string;
  /** Nanoseconds since 1970: when the queue was full; the same at both ends. */
  readonly since_time: string;
  readonly sink: string;
}

/** Items that were not recorded. Times in nanoseconds. */
export interface Gap {
  readonly from_time: string;
  readonly item_count: number;
  readonly reason: string;
  readonly to_time: string;
}

interface StorageFailed {
  readonly code: string;
  readonly operation: string;
  readonly reason: string;
}

interface ChainLimit {
  readonly chain_count: number;
  readonly limit: number;
  readonly refused_count: number;
}

export interface ControlMembers {
  readonly opened: Opened;
  readonly closed: Closed;
  readonly recovered: Recovered;
  readonly seal: Seal;
  readonly link: Link;
  readonly key_rotated: KeyRotated;
  readonly policy_changed: PolicyChanged;
  readonly redaction_off: RedactionOff;
  readonly clock_stepped: ClockStepped;
  readonly sink_rejected: SinkRejected;
  readonly forwarding_suspended: ForwardingSuspended;
  readonly gap: Gap;
  readonly storage_failed: StorageFailed;
  readonly chain_limit: ChainLimit;
}

export type ControlKind = keyof ControlMembers;

type Check = (value: JsonValue) => boolean;

const count: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const flag: Check = (value) => typeof value === "boolean";
const text: Check = (value) => typeof value === "string" && value.length <= controlTextCharsMax;
const texts: Check = (value) =>
  Array.isArray(value) && value.length <= controlListMax && value.every(text);
const decimal: Check = (value) => typeof value === "string" && /^(?:0|[1-9]\d{0,19})$/.test(value);
const digest: Check = (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
const recordId: Check = (value) => typeof value === "string" && /^[0-9a-f]{32}$/.test(value);
const proof: Check = (value) =>
  typeof value === "string" && /^(?:[0-9a-f]{64}|[0-9a-f]{128})$/.test(value);
const phase: Check = (value) => value === "start" || value === "end";
const purpose: Check = (value) => value === "chain" || value === "log";

function orNull(check: Check): Check {
  return (value) => value === null || check(value);
}

const CHECKS: { readonly [K in ControlKind]: Readonly<Record<keyof ControlMembers[K], Check>> } = {
  opened: {
    boot: count,
    clean: flag,
    mode: text,
    previous_size: count,
    previous_tip: orNull(digest),
    publish_targets: texts,
    seal_interval_ms: count,
    software_version: text,
  },
  closed: { boot: count, reason: text },
  recovered: {
    boot: count,
    discarded_bytes: count,
    discarded_digest: orNull(digest),
    known_committed: count,
    reason: text,
    recovery_point: count,
    time: decimal,
    unproven_end: orNull(count),
    unproven_first: orNull(count),
  },
  seal: {
    action_count: count,
    chain_count: count,
    drop_count: count,
    gap_count: count,
    number: count,
    record_count: count,
    state_digest: orNull(digest),
    state_size: orNull(count),
    tips_root: digest,
  },
  link: { reason: text, record: recordId, related: recordId },
  key_rotated: { from: text, proof, purpose, to: text },
  policy_changed: { after: digest, before: orNull(digest), changes: texts },
  redaction_off: { reason: text },
  clock_stepped: { ledger_time: decimal, wall_time: decimal },
  sink_rejected: {
    end: count,
    first: count,
    item_count: orNull(count),
    reason: text,
    signal: text,
    sink: text,
    status: text,
  },
  forwarding_suspended: {
    byte_count: count,
    counts_complete: flag,
    end: count,
    first: count,
    item_count: count,
    phase,
    request_count: count,
    signal: text,
    since_time: decimal,
    sink: text,
  },
  gap: { from_time: decimal, item_count: count, reason: text, to_time: decimal },
  storage_failed: { code: text, operation: text, reason: text },
  chain_limit: { chain_count: count, limit: count, refused_count: count },
};

export const CONTROL_KINDS: readonly ControlKind[] = Object.keys(CHECKS) as ControlKind[];

export function isControlKind(kind: string): kind is ControlKind {
  return Object.hasOwn(CHECKS, kind);
}

/** The body of a control record. `nonce` is 16 random bytes. @throws FormatError. */
export function encodeControl<K extends ControlKind>(
  kind: K,
  members: ControlMembers[K],
  nonce: Uint8Array,
): Uint8Array {
  const value = members as unknown as Record<string, JsonValue>;
  checkMembers(kind, value);
  return encodeUtf8(canonicalize({ ...value, kind, nonce: toHex(nonce), schema: CONTROL_SCHEMA }));
}

/** @throws FormatError unless `bytes` is what `encodeControl` gives for `kind`. */
export function parseControl<K extends ControlKind>(kind: K, bytes: Uint8Array): ControlMembers[K] {
  const { kind: named, nonce, schema, ...members } = parseObject(bytes);
  if (schema !== CONTROL_SCHEMA || named !== kind || !recordId(nonce ?? null)) {
    throw new FormatError("bad_control", `not the body of a control record ${kind}`);
  }
  checkMembers(kind, members);
  return members as unknown as ControlMembers[K];
}

function parseObject(bytes: Uint8Array): Record<string, JsonValue> {
  let value: JsonValue;
  try {
    value = parseCanonical(decodeUtf8(bytes));
  } catch (cause) {
    throw new FormatError("bad_control", "control record: not canonical JSON", { cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, JsonValue>;
  }
  throw new FormatError("bad_control", "control record: not an object");
}

function checkMembers(kind: ControlKind, members: Record<string, JsonValue>): void {
  const checks: Readonly<Record<string, Check>> = CHECKS[kind];
  for (const name of Object.keys(members)) {
    if (!Object.hasOwn(checks, name)) {
      throw new FormatError("bad_control", `control record ${kind} has no member ${name}`);
    }
  }
  for (const [name, check] of Object.entries(checks)) {
    const value = members[name];
    if (value === undefined || !check(value)) {
      throw new FormatError(
        "bad_control",
        `control record ${kind}: member ${name} is missing or bad`,
      );
    }
  }
}
