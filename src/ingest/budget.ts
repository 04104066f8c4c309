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
      throw new Refusal("overloaded", `${this.bounds.requestsMax} requests are in flight`);
    }
    if (this.bytes + declaredBytes > this.bounds.inflightBytesMax) throw this.full();
    this.requests++;
    return new Admission(this);
  }

  full(): Refusal {
    return new Refusal(
      "overloaded",
      `${this.bytes} of ${this.bounds.inflightBytesMax} bytes for requests in flight are taken`,
    );
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
    if (this.budget.bytes + bytes > this.budget.bounds.inflightBytesMax) throw this.budget.full();
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
