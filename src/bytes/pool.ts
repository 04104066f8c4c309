/**
 * Memory that requests pass through, used again instead of collected: a request takes megabytes and
 * few objects, so collections would come late for it, and then whole ones.
 */
import { pooledBytesMax, poolIdleMs } from "../limits.ts";

export interface PoolBounds {
  /** Of memory that waits to be used again. */
  readonly bytesMax: number;
  /** What nobody needed for so long is freed. */
  readonly idleMs: number;
}

/** Powers of two that are used again: less is cheap to collect, more is seldom needed. */
const smallest = 14;
const largest = 22;

/**
 * Bytes have an owner, who hands them on or releases them when it reads them no more, nor lets the
 * kernel do so. After the last one a view of them that is left finds nothing. What is never released
 * is collected like any other memory.
 */
export class Pool {
  readonly #bounds: PoolBounds;
  /** By power of two; undefined for those that are not used again. */
  readonly #free: readonly (ArrayBuffer[] | undefined)[] = Array.from(
    { length: largest + 1 },
    (_, power) => (power < smallest ? undefined : []),
  );
  /** How many of them were free all the time since the last look. */
  readonly #unused = new Uint32Array(largest + 1);
  /** How many have what was acquired. */
  readonly #owners = new WeakMap<ArrayBuffer, number>();
  #looking: NodeJS.Timeout | undefined;
  #bytes = 0;
  /** For tests: what is released is overwritten with it. */
  poison: number | undefined;

  constructor(bounds: PoolBounds) {
    this.#bounds = bounds;
  }

  /** Of memory that waits to be used again. */
  get bytes(): number {
    return this.#bytes;
  }

  /** All of it must be written before it is read: it holds what was there before. */
  acquire(size: number): Uint8Array {
    const room = roomFor(size);
    const buffer = this.#take(room) ?? Buffer.allocUnsafeSlow(room).buffer;
    this.#owners.set(buffer, 1);
    return new Uint8Array(buffer, 0, size);
  }

  /** The first `size` bytes, moved to other memory where they would keep more than they need. */
  compact(bytes: Uint8Array, size: number): Uint8Array {
    const kept = bytes.subarray(0, size);
    if (bytes.buffer.byteLength <= roomFor(size)) return kept;
    const copy = this.acquire(size);
    copy.set(kept);
    this.release(bytes);
    return copy;
  }

  /** Makes one owner more, who releases them as well. */
  retain(bytes: Uint8Array): void {
    const { buffer } = bytes;
    if (!(buffer instanceof ArrayBuffer)) return;
    const owners = this.#owners.get(buffer);
    if (owners !== undefined || fills(bytes)) this.#owners.set(buffer, (owners ?? 1) + 1);
  }

  /**
   * Makes one owner less. Behind the last one the memory that `bytes` lie in is used again, whoever
   * made it, unless they are a small part of what others made.
   */
  release(bytes: Uint8Array): void {
    const { buffer } = bytes;
    if (!(buffer instanceof ArrayBuffer)) return;
    const owners = this.#owners.get(buffer);
    if (owners !== undefined && owners > 1) {
      this.#owners.set(buffer, owners - 1);
      return;
    }
    if (!this.#owners.delete(buffer) && !fills(bytes)) return;
    if (this.poison !== undefined) new Uint8Array(buffer).fill(this.poison);
    const list = this.#free[Math.log2(buffer.byteLength)];
    const hasRoom = this.#bytes + buffer.byteLength <= this.#bounds.bytesMax;
    if (list === undefined || !hasRoom) {
      buffer.transfer(0);
      return;
    }
    this.#bytes += buffer.byteLength;
    list.push(buffer.transfer());
    this.#looking ??= setInterval(() => this.#trim(), this.#bounds.idleMs).unref();
  }

  #take(room: number): ArrayBuffer | undefined {
    const power = Math.log2(room);
    const list = this.#free[power];
    const buffer = list?.pop();
    if (buffer === undefined) return undefined;
    this.#bytes -= buffer.byteLength;
    this.#unused[power] = Math.min(this.#unused[power]!, list!.length);
    return buffer;
  }

  /** Frees what was not needed since the last call. */
  #trim(): void {
    for (const [power, list] of this.#free.entries()) {
      for (const buffer of list?.splice(0, this.#unused[power]) ?? []) {
        this.#bytes -= buffer.byteLength;
        buffer.transfer(0);
      }
      this.#unused[power] = list?.length ?? 0;
    }
    if (this.#bytes > 0) return;
    clearInterval(this.#looking);
    this.#looking = undefined;
  }
}

function roomFor(size: number): number {
  const isUsedAgain = size > 2 ** (smallest - 1) && size <= 2 ** largest;
  return isUsedAgain ? 2 ** Math.ceil(Math.log2(size)) : size;
}

/** Whether nearly all memory that `bytes` lies in is its own. */
export function fills(bytes: Uint8Array): boolean {
  return 2 * bytes.length > bytes.buffer.byteLength;
}

/** That of this thread. */
export const pool: Pool = new Pool({ bytesMax: pooledBytesMax, idleMs: poolIdleMs });
