/**
 * The ledger's time: wall time at start carried on by the monotonic clock, drawn towards the wall
 * clock, never backwards. Order is a record's `index`; time only says when.
 */
const NANOS_PER_MILLI = 1_000_000n;

export interface Clock {
  /** Nanoseconds since 1970 as the host believes; may jump either way. */
  wallUnixNano(): bigint;
  /** Nanoseconds since some moment; never goes back, may stand still while the host sleeps. */
  monotonicNano(): bigint;
}

export const systemClock: Clock = {
  wallUnixNano: () => BigInt(Date.now()) * NANOS_PER_MILLI,
  monotonicNano: () => process.hrtime.bigint(),
};

/** A larger difference between the two clocks is itself recorded. */
const clockStepNanos: bigint = 1_000_000_000n;
/** The wall clock is read in milliseconds: a smaller difference is its rounding. */
const toleranceNanos = 5_000_000n;

export interface ClockStep {
  /** Ledger time at which the step was noticed, before it was followed. */
  readonly ledgerUnixNano: bigint;
  readonly wallUnixNano: bigint;
}

export class LedgerClock {
  readonly #clock: Clock;
  #time: bigint;
  #monotonic: bigint;
  /** The wall clock was behind by so much when that was last reported. */
  #reportedBehind = 0n;
  #step: ClockStep | undefined;

  /** `notBefore`: the time of the newest record, 0 for a new log. */
  constructor(clock: Clock, notBefore: bigint) {
    this.#clock = clock;
    this.#monotonic = clock.monotonicNano();
    const wall = clock.wallUnixNano();
    this.#time = wall > notBefore ? wall : notBefore;
    this.#noticeBehind(wall);
  }

  /** The present time, at least as late as the last one given. */
  now(): bigint {
    const monotonic = this.#clock.monotonicNano();
    const wall = this.#clock.wallUnixNano();
    const elapsed = monotonic > this.#monotonic ? monotonic - this.#monotonic : 0n;
    this.#monotonic = monotonic > this.#monotonic ? monotonic : this.#monotonic;
    const expected = this.#time + elapsed;
    const ahead = wall - expected;
    if (ahead > clockStepNanos) {
      // The host slept or was set: its monotonic clock says nothing about the time in between.
      this.#step = { ledgerUnixNano: expected, wallUnixNano: wall };
      this.#time = wall;
    } else if (ahead > toleranceNanos) {
      this.#time = expected + smaller(ahead, elapsed / 2n);
    } else if (ahead < -toleranceNanos) {
      // Half pace: later records keep later times while the wall clock catches up.
      this.#time = expected - smaller(-ahead, elapsed / 2n);
      this.#noticeBehind(wall);
    } else {
      this.#time = expected;
    }
    return this.#time;
  }

  /** A step over one second since the last call, to be written down as `clock_stepped`. */
  takeStep(): ClockStep | undefined {
    const step = this.#step;
    this.#step = undefined;
    return step;
  }

  #noticeBehind(wall: bigint): void {
    const behind = this.#time - wall;
    // Half pace shrinks the difference; only a growing one is a further step.
    if (behind > clockStepNanos && behind > this.#reportedBehind + clockStepNanos) {
      this.#step = { ledgerUnixNano: this.#time, wallUnixNano: wall };
      this.#reportedBehind = behind;
    } else if (behind < this.#reportedBehind) {
      this.#reportedBehind = behind > 0n ? behind : 0n;
    }
  }
}

function smaller(left: bigint, right: bigint): bigint {
  return left < right ? left : right;
}
