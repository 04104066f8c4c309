/** Names of segment files: the index of the first record in 16 digits. */

export function segmentName(firstIndex: number): string {
  return `${String(firstIndex).padStart(16, "0")}.jsonl`;
}

/** The first index, or undefined for any other name. */
export function parseSegmentName(name: string): number | undefined {
  const match = /^(\d{16})\.jsonl$/.exec(name);
  const index = match === null ? -1 : Number(match[1]);
  return Number.isSafeInteger(index) && index >= 0 ? index : undefined;
}
