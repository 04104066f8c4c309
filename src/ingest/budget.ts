/**
 * What all requests together may hold. A request is admitted or refused at once, never queued:
 * senders have queues of their own, and a refusal costs less than a wait that ends in one. Where
 * there is no room, another request gives way: the one whose body has been on its way for longest,
 * so that who begins requests and does not end them cannot keep out who does; else one of the
 * sender that holds most while it waits for its turn.
 */
import { Refusal } from "./refusal.ts";
import type { Held, Sender } from "./turns.ts";

export interface BudgetBounds {
  readonly requestsMax: number;
  readonly inflightBytesMax: number;
  /** A body that has been on its way for less keeps its place. */
  readonly receivingMsMin: number;
}

type Kind = "requests" | "bytes";

/** Complete requests that wait for their turn. */
interface Queue {
  /** One of another sender gives back what it holds. @returns false where none does. */
  makeRoom(sender: Sender, refusal: Refusal): boolean;
}

export class Budget {
  readonly bounds: BudgetBounds;
  /** Requests and bytes that are held now. */
  requests = 0;
  bytes = 0;
  /** Requests whose body is not complete, the oldest first, and since when. */
  readonly #receiving = new Map<Admission, number>();
  readonly #now: () => number;

  readonly #queue: Queue;

  constructor(
    bounds: BudgetBounds,
    queue: Queue = { makeRoom: () => false },
    now: () => number = () => performance.now(),
  ) {
    this.bounds = bounds;
    this.#queue = queue;
    this.#now = now;
  }

  /**
   * Admits one request that announced `declaredBytes` (0 where it did not). Announced bytes are
   * not reserved: a sender that announces much and sends little would keep out the others.
   *
   * @throws Refusal `overloaded`
   */
  admit(sender: Sender, declaredBytes: number): Admission {
    const { requestsMax, inflightBytesMax } = this.bounds;
    while (this.requests >= requestsMax) this.#makeRoom(sender, "requests");
    while (this.bytes + declaredBytes > inflightBytesMax) this.#makeRoom(sender, "bytes");
    this.requests++;
    return new Admission(this, sender);
  }

  /** @throws Refusal `overloaded`, with nothing more taken. */
  take(sender: Sender, bytes: number): void {
    while (this.bytes + bytes > this.bounds.inflightBytesMax) this.#makeRoom(sender, "bytes");
    this.bytes += bytes;
  }

  /** @returns to be called when the body is complete or given up. */
  receive(admission: Admission): () => void {
    this.#receiving.set(admission, this.#now());
    return () => this.#receiving.delete(admission);
  }

  /** @throws Refusal `overloaded` where no other request gives way. */
  #makeRoom(sender: Sender, what: Kind): void {
    const refusal = this.#full(what);
    const [oldest] = this.#receiving;
    const isStale = oldest !== undefined && this.#now() - oldest[1] >= this.bounds.receivingMsMin;
    if (isStale) oldest[0].giveWay(refusal);
    else if (!this.#queue.makeRoom(sender, refusal)) throw refusal;
  }

  /** The sender learns that there is no room, the log how little. */
  #full(what: Kind): Refusal {
    const held = `${this.requests} requests and ${this.bytes} bytes are in flight`;
    const message = `too many ${what} in flight: send it again`;
    return new Refusal("overloaded", message, new Error(held));
  }
}

/** The share of one request. */
export class Admission implements Held {
  private readonly budget: Budget;
  private readonly sender: Sender;
  bytes = 0;
  private open = true;
  private kept = false;
  private onGivenWay: (refusal: Refusal) => void = () => undefined;

  constructor(budget: Budget, sender: Sender) {
    this.budget = budget;
    this.sender = sender;
  }

  /** @throws Refusal `overloaded`, with nothing more taken. */
  take(bytes: number): void {
    this.budget.take(this.sender, bytes);
    this.bytes += bytes;
  }

  /** Gives back a part. */
  give(bytes: number): void {
    this.budget.bytes -= bytes;
    this.bytes -= bytes;
  }

  /**
   * The body is on its way: until the returned function is called, the place may be given to
   * another request, which `onGivenWay` is told.
   */
  receive(onGivenWay: (refusal: Refusal) => void): () => void {
    this.onGivenWay = onGivenWay;
    return this.budget.receive(this);
  }

  /** Another takes the place. */
  giveWay(refusal: Refusal): void {
    this.release();
    this.onGivenWay(refusal);
  }

  /** From here on `release` does nothing until `work` is settled. */
  keep(work: Promise<unknown>): void {
    this.kept = true;
    const release = (): void => {
      this.kept = false;
      this.release();
    };
    work.then(release, release);
  }

  /** Gives back all; further calls do nothing. */
  release(): void {
    if (!this.open || this.kept) return;
    this.open = false;
    this.give(this.bytes);
    this.budget.requests--;
  }
}
