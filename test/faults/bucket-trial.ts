/**
 * One sidecar with a bucket in trouble: every root that it signs is noted as it lies in the ledger,
 * and must be in the bucket at last, byte for byte.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { TestContext } from "vitest";
import { spanseal } from "../cli/command.ts";
import type { Ended } from "../cli/command.ts";
import { startSidecar } from "../service/sidecar-process.ts";
import type { SidecarProcess } from "../service/sidecar-process.ts";
import type { Plain } from "../support/otlp-writer.ts";
import { eventually, ledgerOf, metricsOf, readinessOf, recordsOf } from "../system/observation.ts";
import { oneCall, send } from "../system/telemetry.ts";
import { record } from "./outcome.ts";

const lookEveryMs = 20;

/** The size that a signed note states. */
function sizeIn(note: string): number {
  return Number(note.split("\n")[1]);
}

export class BucketTrial {
  #sidecar: SidecarProcess;
  readonly #config: Plain;
  /** Notes by size. */
  readonly #signed = new Map<number, string>();
  /** Sizes for which two roots were signed. */
  #twice = 0;
  #nextId = 1;

  private constructor(sidecar: SidecarProcess, config: Plain) {
    this.#sidecar = sidecar;
    this.#config = config;
    const looking = setInterval(() => this.look(), lookEveryMs);
    onTestFinished(() => clearInterval(looking));
  }

  static async start(publish: Plain = {}, cwd?: string): Promise<BucketTrial> {
    const config = { publish: { interval: "1s", ...publish } };
    const place = cwd === undefined ? {} : { cwd };
    return new BucketTrial(await startSidecar({ config, ...place }), config);
  }

  get sidecar(): SidecarProcess {
    return this.#sidecar;
  }

  get bucket(): string {
    return join(this.#sidecar.cwd, "spanseal-data/bucket");
  }

  /** The log's own place in the bucket. */
  get prefix(): string {
    return join(this.bucket, this.#sidecar.ready.public_key.split("+")[0]!);
  }

  /** Notes what is signed and waits. */
  look(): void {
    const ledger = ledgerOf(this.#sidecar);
    for (const note of [join(ledger, "checkpoint"), ...queued(join(ledger, "publish"))]) {
      const text = readIfThere(note);
      if (text === undefined) continue;
      const before = this.#signed.get(sizeIn(text));
      if (before !== undefined && before !== text) this.#twice++;
      this.#signed.set(sizeIn(text), text);
    }
  }

  /** Sends so many requests, all of which must be acknowledged. */
  async send(count: number): Promise<void> {
    for (let sent = 0; sent < count; sent++) {
      assert.equal(await this.trySend(), 200);
    }
  }

  trySend(): Promise<number> {
    return send(this.#sidecar, oneCall({ id: this.#nextId++ }));
  }

  run(...parameters: string[]): Promise<Ended> {
    const { cwd } = this.#sidecar;
    return spanseal([...parameters, "--config", "spanseal.yaml"], { cwd });
  }

  async kill(): Promise<void> {
    assert.equal(await this.#sidecar.stop("SIGKILL"), null);
    await this.startAgain();
  }

  async startAgain(): Promise<void> {
    this.#sidecar = await startSidecar({ cwd: this.#sidecar.cwd, config: this.#config });
  }

  /** Waits until readiness answers so, with such a reason or warning. */
  async waitUntil(code: number, words: RegExp): Promise<void> {
    await eventually(async () => {
      const seen = await readinessOf(this.#sidecar);
      assert.match(`${seen.reasons}\n${seen.warnings}`, words);
      assert.equal(seen.code, code);
    });
  }

  /** Waits until all that is signed by now, and everything that was recorded, is published. */
  async settle(): Promise<void> {
    const size = (await recordsOf(this.#sidecar)).length;
    await eventually(async () => {
      const seen = await readinessOf(this.#sidecar);
      assert.deepEqual(seen, { code: 200, reasons: "", warnings: "" });
      const metrics = await metricsOf(this.#sidecar);
      assert.ok(metrics.get("spanseal_published_records")! >= size);
    });
  }

  /** Ends the sidecar, verifies log and bucket, and makes the row of the table. */
  async conclude(context: TestContext, noticed: string): Promise<Verdict> {
    await this.settle();
    assert.equal(await this.#sidecar.stop(), 0);
    this.look();
    const verified = await this.run("verify", "--bucket", this.bucket, "--json");
    const verdict = {
      signed: this.#signed.size,
      missing: [...this.#signed].filter(([size, note]) => this.#published(size) !== note).length,
      twice: this.#twice,
      verify: (JSON.parse(verified.stdout) as { verdict: string }).verdict,
    };
    record(context, {
      table: "SINK",
      cells: {
        "roots signed": verdict.signed,
        "not published byte for byte": verdict.missing,
        "two roots for one size": verdict.twice,
        verify: verdict.verify,
        "said meanwhile": noticed,
      },
    });
    return verdict;
  }

  #published(size: number): string | undefined {
    return readIfThere(join(this.prefix, "checkpoints", String(size)));
  }
}

export interface Verdict {
  readonly signed: number;
  readonly missing: number;
  readonly twice: number;
  readonly verify: string;
}

/** Everything that was signed is published as it was, and the verifier agrees. */
export const whole = { missing: 0, twice: 0, verify: "ok" };

function queued(folder: string): string[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(".checkpoint"));
  return names.map((name) => join(folder, name));
}

/** A queued root is gone as soon as it is published. */
function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
