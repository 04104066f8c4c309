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

/** A larger step of the wall clock is itself recorded. */
const clockStepNanos: bigint = 1_000_000_000n;
/** The wall clock is read in milliseconds: a smaller difference is its rounding. */
const toleranceNanos = 5_000_000n;
/** No clock of a host drifts by more than one part of so many; what is beyond that was set. */
const driftParts = 1000n;

export interface ClockStep {
  /** Ledger time at which the step was noticed, before it was followed. */
  readonly ledgerUnixNano: bigint;
  readonly wallUnixNano: bigint;
}

export class LedgerClock {
  readonly #clock: Clock;
  #time: bigint;
  #monotonic: bigint;
  #wall: bigint;
  /** By how much the wall clock was set since a step was last told, beyond what drift explains. */
  #set = 0n;
  #step: ClockStep | undefined;

  /** `notBefore`: the time of the newest record, 0 for a new log. */
  constructor(clock: Clock, notBefore: bigint) {
    this.#clock = clock;
    this.#monotonic = clock.monotonicNano();
    this.#wall = clock.wallUnixNano();
    this.#time = this.#wall > notBefore ? this.#wall : notBefore;
    if (this.#time - this.#wall > clockStepNanos) this.#tell(this.#time, this.#wall);
  }

  /** The present time, at least as late as the last one given. */
  now(): bigint {
    const monotonic = this.#clock.monotonicNano();
    const wall = this.#clock.wallUnixNano();
    const elapsed = monotonic > this.#monotonic ? monotonic - this.#monotonic : 0n;
    const expected = this.#time + elapsed;
    const ahead = wall - expected;
    const drift = elapsed / driftParts;
    this.#set = towardsZero(this.#set + wall - this.#wall - elapsed, drift);
    const isSet = size(this.#set) > clockStepNanos || ahead > clockStepNanos + drift;
    if (isSet) this.#tell(expected, wall);
    this.#monotonic += elapsed;
    this.#wall = wall;
    if (ahead > clockStepNanos) {
      // The host slept or was set: its monotonic clock says nothing about the time in between.
      this.#time = wall;
    } else if (ahead > toleranceNanos) {
      this.#time = expected + smaller(ahead, elapsed / 2n);
    } else if (ahead < -toleranceNanos) {
      // Half pace: later records keep later times while the wall clock catches up.
      this.#time = expected - smaller(-ahead, elapsed / 2n);
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

  #tell(ledgerUnixNano: bigint, wallUnixNano: bigint): void {
    this.#step = { ledgerUnixNano, wallUnixNano };
    this.#set = 0n;
  }
}

function smaller(left: bigint, right: bigint): bigint {
  return left < right ? left : right;
}

function size(value: bigint): bigint {
  return value < 0n ? -value : value;
}

/** `value` less `amount`, in its size. */
function towardsZero(value: bigint, amount: bigint): bigint {
  if (size(value) <= amount) return 0n;
  return value < 0n ? value + amount : value - amount;
}
