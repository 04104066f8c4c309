/** What a real sidecar left behind: several tenants, segments, boots and signed roots, to be harmed. */
import type { ChildProcess } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { onTestFinished } from "vitest";
import type { VerifyReport } from "../../src/ledger/verify/report.ts";
import { spanseal } from "../cli/command.ts";
import { post } from "../cli/recorded.ts";
import type { EvidenceFiles } from "../ledger/evidence-files.ts";
import { launchSidecar } from "../service/sidecar-process.ts";
import { agentTelemetry } from "../support/agent-load.ts";
import { attributes, encodeOtlp } from "../support/otlp-writer.ts";
import type { Plain } from "../support/otlp-writer.ts";

const tenants = ["north", "south", "west"];
const config = { ledger: { segment: { max_size: "1MiB" } } };

/** Folders with `ledger` and `bucket` of one log at three moments, its keys, and its public key. */
export interface Evidence {
  readonly cwd: string;
  readonly publicKey: string;
  readonly origin: string;
  /** After a clean end and two more sessions: all that there is. */
  readonly whole: string;
  /** After the first clean end. */
  readonly older: string;
  /** While the sidecar was running, with records after the newest signed root. */
  readonly running: string;
}

/** Requests of all tenants, about half a segment together. */
async function sendLoad(endpoint: string, seed: number): Promise<void> {
  for (const [at, tenant] of tenants.entries()) {
    const telemetry = agentTelemetry({ seed: seed * 10 + at, spans: 96, personalDataShare: 0.05 });
    const [only] = telemetry["resourceSpans"] as [{ resource: { attributes: Plain[] } }];
    only.resource.attributes.push(...attributes({ "tenant.id": tenant }));
    await post(endpoint, "traces", encodeOtlp("ExportTraceServiceRequest", telemetry));
  }
}

/** Two sessions, of two and three rounds, with a signed root in the middle of each. */
export async function recordEvidence(): Promise<Evidence> {
  const children: ChildProcess[] = [];
  try {
    return await record((child) => children.push(child));
  } finally {
    for (const child of children) child.kill("SIGKILL");
  }
}

async function record(onSpawn: (child: ChildProcess) => void): Promise<Evidence> {
  const cwd = mkdtempSync(join(tmpdir(), "spanseal-evidence-"));
  const publish = () => spanseal(["publish", "--config", "spanseal.yaml"], { cwd });
  const data = join(cwd, "spanseal-data");
  const keep = (name: string): string => {
    cpSync(data, join(cwd, name), { recursive: true, filter: (path) => !path.endsWith(".sock") });
    return join(cwd, name);
  };
  const first = await launchSidecar({ cwd, config }, onSpawn);
  await sendLoad(first.ready.endpoints.http, 1);
  await publish();
  await sendLoad(first.ready.endpoints.http, 2);
  await first.stop();
  const older = keep("older");
  const second = await launchSidecar({ cwd, config }, onSpawn);
  await sendLoad(second.ready.endpoints.http, 3);
  await sendLoad(second.ready.endpoints.http, 4);
  await publish();
  await sendLoad(second.ready.endpoints.http, 5);
  const running = keep("running");
  await second.stop();
  const publicKey = first.ready.public_key;
  const origin = publicKey.split("+")[0]!;
  return { cwd, publicKey, origin, whole: keep("whole"), older, running };
}

/** A folder's ledger and bucket, as the tamper matrix takes them. */
export function readEvidence(folder: string, origin: string): EvidenceFiles {
  const files: EvidenceFiles = new Map();
  const take = (from: string, to: string): void => {
    for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile()) files.set(`${to}/${relative(from, path)}`, readFileSync(path));
    }
  };
  take(join(folder, "ledger"), "ledger");
  take(join(folder, "bucket", origin), "bucket");
  return files;
}

/** One copy that a test may do anything to. */
export class Copy {
  readonly path: string;
  readonly #evidence: Evidence;

  constructor(evidence: Evidence, of: string = evidence.whole) {
    this.#evidence = evidence;
    this.path = mkdtempSync(join(tmpdir(), "spanseal-copy-"));
    cpSync(of, this.path, { recursive: true });
    onTestFinished(() => rmSync(this.path, { recursive: true, force: true }));
  }

  get ledger(): string {
    return join(this.path, "ledger");
  }

  /** The log's own prefix. */
  get bucket(): string {
    return join(this.path, "bucket", this.#evidence.origin);
  }

  get segments(): string[] {
    return readdirSync(join(this.ledger, "segments")).toSorted();
  }

  get bucketSizes(): number[] {
    const names = readdirSync(join(this.bucket, "checkpoints"));
    return names.map(Number).toSorted((left, right) => left - right);
  }

  read(segment: string): string[] {
    return readFileSync(this.#segment(segment), "latin1").split("\n").slice(0, -1);
  }

  /** Lines are latin1 text here, so that every byte stays as it is. */
  write(segment: string, lines: readonly string[], rest = ""): void {
    const text = [...lines.map((line) => `${line}\n`), rest].join("");
    overwrite(this.#segment(segment), Buffer.from(text, "latin1"));
  }

  #segment(name: string): string {
    return resolve(this.ledger, "segments", name);
  }

  /** Reads the copy with all keys, without the chain key, and with nothing but the public key. */
  async verify(): Promise<Verdicts> {
    const { cwd, publicKey } = this.#evidence;
    const keys = join(cwd, "spanseal-keys");
    const verify = async (...parameters: string[]): Promise<VerifyReport> => {
      const ended = await spanseal(["verify", this.path, "--json", ...parameters]);
      const report = JSON.parse(ended.stdout) as VerifyReport;
      if (ended.code !== report.exitCode) throw new Error(`exit code ${ended.code}`);
      return report;
    };
    const [full, publicOnly] = await Promise.all([
      verify("--keys", keys),
      verify("--public-key", publicKey),
    ]);
    return { full, publicOnly };
  }
}

export interface Verdicts {
  /** With the chain key and the log's public key. */
  readonly full: VerifyReport;
  /** As an auditor from outside. */
  readonly publicOnly: VerifyReport;
}

/** Segments are read-only once they are closed: the file is replaced. */
export function overwrite(path: string, bytes: Uint8Array): void {
  rmSync(path, { force: true });
  writeFileSync(path, bytes);
}

/** `class where:line index chain #sequence` for each failure. */
export function brief({ failures }: VerifyReport): string[] {
  return failures.map(({ class: name, place }) => {
    const line = place.line === undefined ? "" : `:${place.line}`;
    const chain = place.tenant === undefined ? "" : ` ${place.tenant}#${place.sequence}`;
    return `${name} ${place.file ?? place.segment}${line} ${place.index ?? "-"}${chain}`;
  });
}
