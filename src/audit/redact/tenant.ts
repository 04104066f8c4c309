/** The tenant that separates tokens, found only where a keyed action asks for it. */
import { LENGTH_DELIMITED, VARINT, WireReader } from "../../bytes/wire.ts";
import { EVERYTHING } from "./candidates.ts";
import type { RedactionPolicy } from "./policy.ts";
import { applyChanges, redactValue } from "./value.ts";

interface Source {
  readonly bytes: Buffer;
  readonly policy: RedactionPolicy;
}

interface Bounds {
  readonly start: number;
  readonly stop: number;
}

/** A message and the field numbers that lead from it to its attributes. */
export interface AttributePlace {
  readonly bounds: Bounds;
  readonly fields: readonly number[];
}

/**
 * A function that looks for the tenant in `places`, in this order, and remembers it. A name that is
 * itself redacted is used in its redacted form: that is the name that readers know.
 */
export function tenantOf(source: Source, places: () => readonly AttributePlace[]): () => string {
  let tenant: string | undefined;
  return () => (tenant ??= find(source, places()));
}

function find(source: Source, places: readonly AttributePlace[]): string {
  const { from, default: fallback } = source.policy.tenant;
  for (const { bounds, fields } of places) {
    for (const key of from) {
      const value = attribute(source, bounds, fields, key);
      if (value !== undefined && value.length > 0) return redactedName(source.policy, key, value);
    }
  }
  return fallback;
}

/** The first copy of `key` among the attributes that `fields` lead to, as for the chain. */
function attribute(
  source: Source,
  { start, stop }: Bounds,
  [field, ...rest]: readonly number[],
  key: string,
): Buffer | undefined {
  let found: Buffer | undefined;
  const reader = new WireReader(source.bytes, start, stop);
  while (reader.next()) {
    if (reader.wireType !== LENGTH_DELIMITED || reader.field !== field) continue;
    const bounds = { start: reader.start, stop: reader.stop };
    const value =
      rest.length > 0 ? attribute(source, bounds, rest, key) : keyValue(source, bounds, key);
    found ??= value;
  }
  return found;
}

function keyValue({ bytes }: Source, { start, stop }: Bounds, key: string): Buffer | undefined {
  const reader = new WireReader(bytes, start, stop);
  let same = false;
  let value: Buffer | undefined;
  while (reader.next()) {
    if (reader.wireType !== LENGTH_DELIMITED) continue;
    if (reader.field === 1) same = bytes.toString("utf8", reader.start, reader.stop) === key;
    if (reader.field === 2) value = scalar(bytes, reader.message());
  }
  return same ? value : undefined;
}

function scalar(bytes: Buffer, reader: WireReader): Buffer | undefined {
  let value: Buffer | undefined;
  while (reader.next()) {
    if (reader.field === 1 && reader.wireType === LENGTH_DELIMITED) {
      value = bytes.subarray(reader.start, reader.stop);
    } else if (reader.field === 3 && reader.wireType === VARINT) {
      value = Buffer.from(String(reader.int64()));
    }
  }
  return value;
}

function redactedName(policy: RedactionPolicy, key: string, value: Buffer): string {
  const changes = redactValue(value, {
    policy,
    tenant: () => "",
    place: { key, rawKey: key, attribute: key },
    bits: EVERYTHING,
    keyBits: 0,
    everyBits: 0,
    identity: true,
    address: false,
    depth: 0,
  });
  return applyChanges(value, changes).toString();
}
