/**
 * The attribute keys that some table of the mapping names, numbered. Numbers are given once and
 * never taken back, so there are as many as the source code and the configuration have.
 */
const ids = new Map<string, number>();

/** The number of a key, given at its first use. */
export function keyId(name: string): number {
  const known = ids.get(name);
  if (known !== undefined) return known;
  ids.set(name, ids.size);
  return ids.size - 1;
}

/** @returns -1 where no table names the key. */
export function knownKeyId(name: string): number {
  return ids.get(name) ?? -1;
}

export function knownKeyCount(): number {
  return ids.size;
}
