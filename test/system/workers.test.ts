/** A sidecar with threads records what one without them records, and ends as orderly. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { spanseal } from "../cli/command.ts";
import { startSidecar } from "../service/sidecar-process.ts";
import type { SidecarProcess } from "../service/sidecar-process.ts";
import { agentRequest } from "../support/agent-load.ts";
import { UniqueSpans } from "../support/unique-spans.ts";
import { grpcOf, postTo } from "./telemetry.ts";

interface Line {
  readonly head: { readonly kind: string; readonly id: string };
  readonly body: { nonce?: string; readonly time: { observed?: string } };
}

/** Bodies by record id, without what differs from run to run. */
function recordsOf({ cwd, ready }: SidecarProcess): Map<string, unknown> {
  const folder = join(resolve(cwd, ready.ledger), "segments");
  const lines = readdirSync(folder)
    .toSorted()
    .flatMap((name) => readFileSync(join(folder, name), "utf8").trim().split("\n"))
    .map((line) => JSON.parse(line) as Line)
    .filter(({ head }) => head.kind === "action");
  return new Map(
    lines.map(({ head, body }) => {
      delete body.nonce;
      delete body.time.observed;
      return [head.id, body];
    }),
  );
}

const requests = Array.from({ length: 6 }, (_, seed) =>
  agentRequest({ seed, spans: 64, personalDataShare: 0.5 }),
);

test("two threads and none make the same records, over HTTP and gRPC, and a sound ledger", async () => {
  const found: Map<string, unknown>[] = [];
  for (const workers of [0, 2]) {
    const sidecar = await startSidecar({ config: { service: { workers } } });
    const overGrpc = grpcOf(sidecar);
    const answers = await Promise.all(
      requests.map(async (bytes, at) =>
        at % 2 === 0
          ? (await postTo(sidecar, "traces", bytes)).status
          : (await overGrpc("traces", bytes)).code,
      ),
    );
    expect(answers).toEqual([200, 0, 200, 0, 200, 0]);
    expect(await sidecar.stop()).toBe(0);
    found.push(recordsOf(sidecar));
    const verified = await spanseal(["verify", "--config", "spanseal.yaml"], { cwd: sidecar.cwd });
    expect(verified).toMatchObject({ code: 0 });
  }
  expect(found[0]!.size).toBe(6 * 64);
  expect(found[1]).toEqual(found[0]);
});

test("at a signal, what is acknowledged is recorded, and what is not is refused for a repeat", async () => {
  const sidecar = await startSidecar({ config: { service: { workers: 2 } } });
  const spans = new UniqueSpans(agentRequest({ seed: 9, spans: 256, personalDataShare: 0.1 }));
  const sending = Array.from({ length: 40 }, async (_, at) => {
    const bytes = spans.stamped(BigInt(at) << 32n);
    const answer = await postTo(sidecar, "traces", bytes).catch(() => null);
    return answer?.status;
  });
  await Promise.race(sending);
  expect(await sidecar.stop()).toBe(0);
  const statuses = await Promise.all(sending);
  const acknowledged = statuses.filter((status) => status === 200).length;
  expect(acknowledged).toBeGreaterThan(0);
  expect(statuses.filter((status) => ![200, 503, undefined].includes(status))).toEqual([]);
  expect(recordsOf(sidecar).size).toBeGreaterThanOrEqual(256 * acknowledged);
});
