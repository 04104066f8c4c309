/**
 * Whose request is worked on next. What comes after the body (inflating, checking, mapping,
 * redacting) occupies the thread, so bodies that are complete wait here for their turn: senders by
 * how little they will have had with it (weighted fair queueing: the time that turns took is their
 * cost, and bytes tell what the next will take), so that one that sends much cannot starve those
 * that send little.
 *
 * Work stops every few milliseconds for the network: what cannot be done in time must be seen and
 * refused, which is cheap, and not wait unseen in the kernel's buffers.
 *
 * A burst may wait for long. A queue that has stood for as long is no burst: as much is refused
 * whether it is long or short, so it is kept short, and what is accepted is accepted soon (the idea
 * of CoDel, RFC 8289).
 */
import { Refusal } from "./refusal.ts";

export interface TurnBounds {
  /** A request that waited this long is refused. */
  readonly queueTimeMsMax: number;
  /** The same where the queue has stood for that time; absent where it may always be as long. */
  readonly standingTimeMsMax?: number;
  /** Work between two looks at the network. */
  readonly workSliceMs: number;
  /** Turns at a time, where the work is done elsewhere; otherwise one. */
  readonly atOnce?: number;
  /** Bytes of requests that had their turn and are not settled, beyond which none begins. */
  readonly unsettledBytesMax?: number;
}

/** What a request holds while it waits. */
export interface Held {
  readonly bytes: number;
  /** Gives all of it back. */
  release(): void;
}

/** One connection, as far as fairness goes. */
export interface Sender {
  /** Virtual time, in milliseconds of work, until which it has had its share. */
  served: number;
}

/** To be ended when the thread is free again; ending it twice does nothing. */
export interface Turn {
  end(): void;
}

const nothing: Held = { bytes: 0, release: () => undefined };
/** Of what a request may wait: who comes later and sends less goes before it. */
const doorShare = 0.75;
/** What recent turns still count after another one. */
const recentShare = 0.98;
/** Of a request that waits, beside its body: headers, streams, promises. */
const requestBytes = 16 * 1024;

interface Waiting {
  readonly sender: Sender;
  readonly held: Held;
  readonly sinceMs: number;
  readonly begin: (turn: Turn) => void;
  readonly refuse: (refusal: Refusal) => void;
}

export class Turns {
  readonly #bounds: TurnBounds;
  readonly #now: () => number;
  /** In the order of their arrival. */
  readonly #waiting = new Set<Waiting>();
  /** Where the turn that began last stands in virtual time. */
  #virtualMs = 0;
  /** Turns that have not ended. */
  #busy = 0;
  /** Had their turn, and wait for the disk. */
  #unsettledBytes = 0;
  /** Of recent turns: what a byte costs. */
  #recentMs = 0;
  #recentBytes = 1;
  /** The same with all that is done between the beginnings of two turns, while others wait. */
  #betweenMs = 0;
  #betweenBytes = 1;
  /** The last beginning; undefined where nobody waited then. */
  #began: { readonly atMs: number; readonly bytes: number } | undefined;
  /** Work since the last look at the network. */
  #spentMs = 0;
  #willLook = false;
  #expiry: NodeJS.Timeout | undefined;
  /** When the oldest request had last not waited for half of what is allowed in a standing queue. */
  #shortAtMs: number;

  constructor(bounds: TurnBounds, now: () => number = () => performance.now()) {
    this.#bounds = bounds;
    this.#now = now;
    this.#shortAtMs = now();
  }

  /** Requests that wait for their turn. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Before anything of a request is read: whether those that come before it leave it time.
   *
   * @param bytes that it announced, 0 where it did not
   * @throws Refusal `overloaded`
   */
  check(sender: Sender, bytes: number): void {
    const bySender = this.#bytesBySender();
    const ownBytes = bySender.get(sender) ?? 0;
    const finish = this.#finishOf(sender, ownBytes + bytes);
    let aheadMs = 0;
    for (const [one, waitingBytes] of bySender) {
      // Of the others, what is their due until this one is done.
      const dueMs = one === sender ? Infinity : finish - this.#finishOf(one, 0);
      aheadMs += Math.min(waitingBytes * this.#msPerByte, Math.max(0, dueMs));
    }
    // A turn is not all that a request needs: it is written, and others are refused meanwhile.
    const perByte = Math.max(this.#msPerByte, this.#betweenMs / Math.max(1, this.#betweenBytes));
    const factor = this.#msPerByte === 0 ? 1 : perByte / this.#msPerByte;
    if (aheadMs * factor > doorShare * this.#waitMsMax()) throw this.#tooMuch();
  }

  /** @throws Refusal `overloaded` where the turn does not come in time. */
  take(sender: Sender, held: Held = nothing): Promise<Turn> {
    const { bytes } = held;
    if (this.#waiting.size === 0 && this.#isFree)
      return Promise.resolve(this.#begin(sender, bytes));
    return new Promise((begin, refuse) => {
      this.#waiting.add({ sender, held, sinceMs: this.#now(), begin, refuse });
      this.#watchExpiry();
      this.#lookSoon();
    });
  }

  /**
   * Makes room for a request of `sender`: the newest of whoever holds most while it waits gives
   * back what it holds.
   *
   * @returns false where nobody waits, or `sender` itself holds most
   */
  makeRoom(sender: Sender, refusal: Refusal): boolean {
    const most = this.#mostHeld();
    if (most === undefined || most.sender === sender) return false;
    this.#waiting.delete(most);
    most.held.release();
    most.refuse(refusal);
    return true;
  }

  #bytesBySender(): Map<Sender, number> {
    const bySender = new Map<Sender, number>();
    for (const { sender, held } of this.#waiting) {
      bySender.set(sender, (bySender.get(sender) ?? 0) + held.bytes);
    }
    return bySender;
  }

  /** The newest request of the sender whose waiting requests hold most. */
  #mostHeld(): Waiting | undefined {
    const bySender = new Map<Sender, number>();
    let most: Waiting | undefined;
    let mostBytes = 0;
    for (const one of this.#waiting) {
      const bytes = (bySender.get(one.sender) ?? 0) + one.held.bytes + requestBytes;
      bySender.set(one.sender, bytes);
      if (bytes < mostBytes) continue;
      most = one;
      mostBytes = bytes;
    }
    return most;
  }

  /** What comes after a turn is work as well: not too much of it may wait. */
  settle(bytes: number, work: Promise<unknown>): void {
    this.#unsettledBytes += bytes;
    const done = (): void => {
      this.#unsettledBytes -= bytes;
      this.#next();
    };
    work.then(done, done);
  }

  get #isFree(): boolean {
    const { atOnce = 1, workSliceMs, unsettledBytesMax = Infinity } = this.#bounds;
    const hasRoom = this.#unsettledBytes < unsettledBytesMax;
    return hasRoom && this.#busy < atOnce && this.#spentMs < workSliceMs;
  }

  #begin(sender: Sender, bytes: number): Turn {
    const startedMs = this.#now();
    this.#noteBeginning(startedMs, bytes);
    this.#busy++;
    this.#virtualMs = Math.max(this.#virtualMs, sender.served);
    const start = this.#virtualMs;
    let isOver = false;
    return {
      end: () => {
        if (isOver) return;
        isOver = true;
        const tookMs = this.#now() - startedMs;
        // More than before where it had several turns at a time.
        sender.served = Math.max(start, sender.served) + tookMs;
        this.#spentMs += tookMs;
        this.#recentMs = this.#recentMs * recentShare + tookMs;
        this.#recentBytes = this.#recentBytes * recentShare + bytes;
        this.#busy--;
        this.#lookSoon();
        this.#next();
      },
    };
  }

  #noteBeginning(atMs: number, bytes: number): void {
    if (this.#began !== undefined) {
      this.#betweenMs = this.#betweenMs * recentShare + atMs - this.#began.atMs;
      this.#betweenBytes = this.#betweenBytes * recentShare + this.#began.bytes;
    }
    this.#began = this.#waiting.size === 0 ? undefined : { atMs, bytes };
  }

  get #msPerByte(): number {
    return this.#recentMs / Math.max(1, this.#recentBytes);
  }

  /** Where a request will end in virtual time. */
  #finishOf(sender: Sender, bytes: number): number {
    return Math.max(sender.served, this.#virtualMs) + bytes * this.#msPerByte;
  }

  /** Gives the thread to whoever will have had least, if there is time. */
  #next(): void {
    if (!this.#isFree) return;
    this.#expire();
    let least: Waiting | undefined;
    let leastMs = Infinity;
    for (const one of this.#waiting) {
      const ms = this.#finishOf(one.sender, one.held.bytes);
      if (ms >= leastMs) continue;
      least = one;
      leastMs = ms;
    }
    if (least === undefined) return;
    this.#waiting.delete(least);
    least.begin(this.#begin(least.sender, least.held.bytes));
    this.#next();
  }

  /** After the network had its turn. */
  #lookSoon(): void {
    if (this.#willLook) return;
    this.#willLook = true;
    setImmediate(() => {
      this.#willLook = false;
      this.#spentMs = 0;
      this.#next();
    });
  }

  /** The oldest first; a timer, because a turn can wait for other threads. */
  #watchExpiry(): void {
    const [oldest] = this.#waiting;
    if (oldest === undefined || this.#expiry !== undefined) return;
    const left = oldest.sinceMs + this.#waitMsMax() - this.#now();
    this.#expiry = setTimeout(
      () => {
        this.#expiry = undefined;
        this.#expire();
        this.#watchExpiry();
      },
      Math.max(1, left),
    ).unref();
  }

  /** How long a request may wait now. */
  #waitMsMax(): number {
    const { queueTimeMsMax, standingTimeMsMax = queueTimeMsMax } = this.#bounds;
    const now = this.#now();
    const [oldest] = this.#waiting;
    const isShort = oldest === undefined || now - oldest.sinceMs < standingTimeMsMax / 2;
    if (isShort) this.#shortAtMs = now;
    return now - this.#shortAtMs > queueTimeMsMax ? standingTimeMsMax : queueTimeMsMax;
  }

  #expire(): void {
    const before = this.#now() - this.#waitMsMax();
    for (const one of this.#waiting) {
      if (one.sinceMs > before) return;
      this.#waiting.delete(one);
      one.refuse(this.#tooMuch());
    }
  }

  #tooMuch(): Refusal {
    const held = new Error(`${this.#waiting.size} requests wait for their turn`);
    return new Refusal("overloaded", "more comes than can be recorded: send it again", held);
  }
}
