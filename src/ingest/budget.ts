/**
 * What all requests together may hold. A request is admitted or refused at once, never queued:
 * senders have queues of their own, and a refusal costs less than a wait that ends in one.
 */
import { Refusal } from "./refusal.ts";

export interface BudgetBounds {
  readonly requestsMax: number;
  readonly inflightBytesMax: number;
}

export class Budget {
  readonly bounds: BudgetBounds;
  /** Requests and bytes that are held now. */
  requests = 0;
  bytes = 0;

  constructor(bounds: BudgetBounds) {
    this.bounds = bounds;
  }

  /**
   * Admits one request that announced `declaredBytes` (0 where it did not). Announced bytes are
   * not reserved: a sender that announces much and sends little would keep out the others.
   *
   * @throws Refusal `overloaded`
   */
  admit(declaredBytes: number): Admission {
    if (this.requests >= this.bounds.requestsMax) {
      throw this.full("requests");
    }
    if (this.bytes + declaredBytes > this.bounds.inflightBytesMax) throw this.full("bytes");
    this.requests++;
    return new Admission(this);
  }

  /** The sender learns that there is no room, the log how little. */
  full(what: "requests" | "bytes"): Refusal {
    const held = `${this.requests} requests and ${this.bytes} bytes are in flight`;
    const message = `too many ${what} in flight: send it again`;
    return new Refusal("overloaded", message, new Error(held));
  }
}

/** The share of one request. */
export class Admission {
  private readonly budget: Budget;
  private bytes = 0;
  private open = true;

  constructor(budget: Budget) {
    this.budget = budget;
  }

  /** @throws Refusal `overloaded`, with nothing more taken. */
  take(bytes: number): void {
    if (this.budget.bytes + bytes > this.budget.bounds.inflightBytesMax)
      throw this.budget.full("bytes");
    this.budget.bytes += bytes;
    this.bytes += bytes;
  }

  /** Gives back a part. */
  give(bytes: number): void {
    this.budget.bytes -= bytes;
    this.bytes -= bytes;
  }

  /** Gives back all; further calls do nothing. */
  release(): void {
    if (!this.open) return;
    this.open = false;
    this.give(this.bytes);
    this.budget.requests--;
  }
}
