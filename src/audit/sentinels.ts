/**
 * Texts that emitters put where they know nothing. None of them may become the name of a person, an
 * agent or a tool; the record says `sentinel` and the attribute stays among the others.
 */
const SENTINELS: ReadonlySet<string> = new Set([
  "",
  "<not specified>",
  "(merged tools)",
  "unknown",
  "UNKNOWN",
  "Unknown",
  "N/A",
  "n/a",
  "none",
  "None",
  "null",
  "undefined",
  "{}",
  "<REDACTED>",
  "[REDACTED]",
  "__REDACTED__",
]);

/** 1 for every length that one of them has, and for every byte that one begins with. */
export const sentinelLengths: Uint8Array = new Uint8Array(64);
export const sentinelStarts: Uint8Array = new Uint8Array(256);
for (const text of SENTINELS) {
  sentinelLengths[text.length] = 1;
  if (text !== "") sentinelStarts[text.charCodeAt(0)] = 1;
}

/** Whether the text in `bytes[start, stop)` stands for nothing. */
export function isSentinel(bytes: Uint8Array, start: number, stop: number): boolean {
  const length = stop - start;
  if (length >= sentinelLengths.length || sentinelLengths[length] === 0) return false;
  // Most texts of such a length end here: only the sentinels begin with these characters.
  const first = bytes[start]!;
  if (length > 0 && sentinelStarts[first] === 0) return false;
  return SENTINELS.has(
    Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString("latin1"),
  );
}
