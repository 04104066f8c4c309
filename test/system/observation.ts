/** What a sidecar leaves behind, and what it says of itself. */
import { appendFileSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, vi } from "vitest";
import { readable } from "../../src/cli/records.ts";
import { readRecords } from "../../src/ledger/read.ts";
import { spanseal } from "../cli/command.ts";
import type { SidecarProcess } from "../service/sidecar-process.ts";

export interface SeenRecord {
  readonly index: number;
  readonly kind: string;
  readonly namespace: string;
  readonly tenant: string;
  readonly id: string;
  readonly conflictOf: string | undefined;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into bodies by member name
  readonly body: any;
}

export function ledgerOf({ cwd, ready }: SidecarProcess): string {
  return resolve(cwd, ready.ledger);
}

/** All records of a ledger, in order; of one kind where one is named. */
export async function recordsIn(ledger: string, kind?: string): Promise<SeenRecord[]> {
  const seen: SeenRecord[] = [];
  for await (const stored of readRecords(ledger)) {
    if (kind !== undefined && stored.head.kind !== kind) continue;
    const { conflictOf } = stored.head;
    seen.push({
      ...readable(stored),
      conflictOf: conflictOf === undefined ? undefined : Buffer.from(conflictOf).toString("hex"),
    });
  }
  return seen;
}

export function recordsOf(sidecar: SidecarProcess, kind?: string): Promise<SeenRecord[]> {
  return recordsIn(ledgerOf(sidecar), kind);
}

/** The newest segment file. */
export function newestSegment(ledger: string): string {
  const folder = join(ledger, "segments");
  return join(folder, readdirSync(folder).toSorted().at(-1)!);
}

/**
 * Leaves half a line at the end, as a power cut in the middle of a write does. @returns its bytes.
 */
export function tearLastLine(ledger: string): number {
  const path = newestSegment(ledger);
  const bytes = readFileSync(path);
  const start = bytes.lastIndexOf("\n", bytes.length - 2) + 1;
  const half = bytes.subarray(start, Math.floor((start + bytes.length) / 2));
  appendFileSync(path, half);
  return half.length;
}

interface Report {
  readonly verdict: string;
  readonly failureCount: number;
  readonly counts: { readonly records: number };
  readonly recoveries: readonly unknown[];
}

/** Expects that the whole log is what was signed, by the command line. */
export async function expectVerified(cwd: string, ...options: string[]): Promise<Report> {
  const parameters = ["verify", "--config", "spanseal.yaml", "--json", ...options];
  const { code, stdout, stderr } = await spanseal(parameters, { cwd });
  expect(stderr).toBe("");
  const report = JSON.parse(stdout) as Report & { failures: unknown };
  expect(report.failures).toEqual([]);
  expect(report).toMatchObject({ verdict: "ok", failureCount: 0 });
  expect(code).toBe(0);
  return report;
}

interface Readiness {
  readonly code: number;
  readonly reasons: string;
  readonly warnings: string;
}

export async function readinessOf(sidecar: SidecarProcess): Promise<Readiness> {
  const response = await sidecar.operations("/readyz");
  const { reasons, warnings } = (await response.json()) as {
    reasons: string[];
    warnings: string[];
  };
  return { code: response.status, reasons: reasons.join("\n"), warnings: warnings.join("\n") };
}

/** Waits until `check` no longer throws. Long, for a busy machine: nothing here is about speed. */
export function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: 20_000, interval: 20 });
}

/** Waits until /readyz answers with this status, and what it says. */
export function readinessWith(sidecar: SidecarProcess, code: number): Promise<Readiness> {
  return eventually(async () => {
    const readiness = await readinessOf(sidecar);
    expect(readiness).toMatchObject({ code });
    return readiness;
  });
}

/** The samples of /metrics by name and labels. */
export async function metricsOf(sidecar: SidecarProcess): Promise<Map<string, number>> {
  const text = await (await sidecar.operations("/metrics")).text();
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    samples.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

export interface FileSeen {
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  readonly isFolder: boolean;
  readonly bytes: Buffer;
}

/** Everything below a folder, each path relative to it. */
export function filesBelow(folder: string): FileSeen[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .toSorted()
    .flatMap((path) => {
      const status = statSync(join(folder, path));
      const isFolder = status.isDirectory();
      if (!isFolder && !status.isFile()) return [];
      const bytes = isFolder ? Buffer.alloc(0) : readFileSync(join(folder, path));
      return [{ path, mode: status.mode & 0o777, isFolder, bytes }];
    });
}

/** The same of a sidecar that runs: looked at again where a file went away meanwhile. */
export function filesWhileRunning(folder: string): Promise<FileSeen[]> {
  return eventually(() => filesBelow(folder));
}
