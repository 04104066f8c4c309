/** Strong random bytes in small portions without one native call each. */
import { randomFillSync } from "node:crypto";

const poolBytes = 4096;

/** A source whose portions are never handed out twice. */
export function pooledRandomBytes(): (count: number) => Uint8Array {
  let pool = new Uint8Array(0);
  let at = 0;
  return (count) => {
    if (count > poolBytes) return randomFillSync(new Uint8Array(count));
    if (at + count > pool.length) {
      pool = randomFillSync(new Uint8Array(poolBytes));
      at = 0;
    }
    at += count;
    return pool.subarray(at - count, at);
  };
}
