/** One target under mutation. */
import { Dice } from "../ingest-json/random-otlp.ts";
import { addInput, inputsOf } from "./corpus.ts";
import { Coverage } from "./coverage.ts";
import type { Target } from "./targets.ts";

/** Blocks of source that an input may run: what is beyond is a hang to be, whatever the clock says. */
const stepsMin = 2_000_000;
const stepsPerByte = 20_000;
/** Larger inputs are not kept: they would be most of the corpus and say little. */
const keptBytesMax = 2 * 1024;

export class Fuzzer {
  readonly #target: Target;
  readonly #dice: Dice;
  readonly #coverage = new Coverage();
  readonly #pool: Buffer[] = [];
  #known = 0;
  runs = 0;
  kept = 0;
  findings = 0;
  stepsPerByteMax = 0;

  constructor(target: Target, seed: number) {
    this.#target = target;
    this.#dice = new Dice(seed);
    this.#pool.push(...target.seeds(), ...inputsOf("corpus", target.name));
  }

  /** Runs one more input: first those that are known, then changed ones. */
  async step(): Promise<void> {
    const isKnown = this.#known < this.#pool.length && this.runs === this.#known;
    if (isKnown) this.#known++;
    const dice = this.#dice;
    const input = isKnown
      ? this.#pool[this.runs]!
      : this.#target.change(dice.pick(this.#pool), dice, dice.pick(this.#pool));
    this.runs++;
    try {
      await this.#target.run(input);
    } catch (error) {
      this.#found(input, error);
    }
    const { isNew, steps } = this.#coverage.take();
    this.stepsPerByteMax = Math.max(this.stepsPerByteMax, Math.floor(steps / (input.length + 1)));
    if (this.#target.isShared !== true && steps > stepsMin + stepsPerByte * input.length) {
      this.#found(input, new Error(`${steps} blocks for ${input.length} bytes`));
    }
    if (!isNew || isKnown) return;
    this.#pool.push(input);
    if (input.length > keptBytesMax) return;
    addInput("corpus", this.#target.name, input);
    this.kept++;
  }

  async close(): Promise<void> {
    this.#coverage.close();
    await this.#target.close?.();
  }

  #found(input: Buffer, error: unknown): void {
    this.findings++;
    console.error(error);
    addInput("findings", this.#target.name, input);
  }
}
