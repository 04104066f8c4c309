/** RFC 8785 (JSON Canonicalization Scheme), both ways. */

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue | undefined };

/** Members that are undefined are left out. @throws TypeError for numbers that JSON cannot hold. */
export function canonicalize(value: JsonValue): string {
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new TypeError(`JSON has no number ${value}`);
  }
  if (typeof value === "string" && !value.isWellFormed()) {
    return JSON.stringify(value.toWellFormed());
  }
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (isArray(value)) return `[${value.map(canonicalize).join(",")}]`;
  const members: string[] = [];
  // RFC 8785 3.2.3 sorts by UTF-16 code units, which is what the default sort does.
  for (const key of Object.keys(value).toSorted()) {
    const member = value[key];
    if (member !== undefined) members.push(`${canonicalize(key)}:${canonicalize(member)}`);
  }
  return `{${members.join(",")}}`;
}

/**
 * Parses `text` only where it is canonical already: no white space, sorted and unique members, one
 * spelling per number and string. @throws SyntaxError otherwise.
 */
export function parseCanonical(text: string): JsonValue {
  const value = JSON.parse(text) as JsonValue;
  if (canonicalTextOf(value) !== text) throw new SyntaxError("JSON is not canonical (RFC 8785)");
  return value;
}

/** Undefined for what cannot be written: a number such as 1e999 is read as infinite. */
function canonicalTextOf(value: JsonValue): string | undefined {
  try {
    return canonicalize(value);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}
