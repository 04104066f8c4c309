/** Attacks on a log by who has some of its keys or copies, each against the real commands. */
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openKeys } from "../../src/ledger/keys.ts";
import { parseCheckpoint } from "../../src/ledger/checkpoint.ts";
import type { VerifyReport } from "../../src/ledger/verify/report.ts";
import { logs, span, traces } from "../audit/setup.ts";
import { north, post, south } from "../cli/recorded.ts";
import { spanseal } from "../cli/command.ts";
import { keyFolder } from "../ledger/log/support.ts";
import { launchSidecar, startSidecar, temporaryFolder } from "../service/sidecar-process.ts";
import type { SidecarProcess, StartOptions } from "../service/sidecar-process.ts";
import { eventually, ledgerOf, readinessOf, recordsOf } from "../system/observation.ts";
import { Forger } from "./forger.ts";

const publish = (cwd: string): ReturnType<typeof spanseal> =>
  spanseal(["publish", "--config", "spanseal.yaml"], { cwd });

async function verify(cwd: string, ...options: string[]): Promise<VerifyReport> {
  const ended = await spanseal(["verify", "--config", "spanseal.yaml", "--json", ...options], {
    cwd,
  });
  const report = JSON.parse(ended.stdout) as VerifyReport;
  expect(ended.code).toBe(report.exitCode);
  return report;
}

const told = ({ failures }: VerifyReport): string[] =>
  failures.map(({ class: name, place }) => `${name} ${place.file ?? `record ${place.index}`}`);

interface Killed {
  readonly cwd: string;
  readonly ledger: string;
  /** Records under the newest root. */
  readonly covered: number;
  readonly forger: () => Promise<Forger>;
}

/** A sidecar that published a root, recorded more, and was killed. */
async function killed(): Promise<Killed> {
  const sidecar = await startSidecar();
  const { cwd, ready } = sidecar;
  await post(ready.endpoints.http, "traces", north);
  expect((await publish(cwd)).code).toBe(0);
  await post(ready.endpoints.http, "traces", south);
  await sidecar.stop("SIGKILL");
  const ledger = ledgerOf(sidecar);
  const { size } = parseCheckpoint(readFileSync(join(ledger, "checkpoint")));
  return {
    cwd,
    ledger,
    covered: size,
    forger: async () => {
      const keys = await openKeys(join(cwd, "spanseal-keys"), keyFolder, { create: false });
      return new Forger(ledger, keys);
    },
  };
}

/** The kinds of the first records of the next start, and whether it was told of a clean end. */
async function nextStart(cwd: string): Promise<{ kinds: string[]; clean: boolean }> {
  const sidecar = await startSidecar({ cwd });
  const records = await recordsOf(sidecar);
  const at = records.findLastIndex(({ kind }) => kind === "opened");
  await sidecar.stop();
  return { kinds: records.slice(at).map(({ kind }) => kind), clean: records[at]!.body.clean };
}

test("a tail cut behind the newest root: not seen, and told as not seen; the next start records it", async () => {
  const { cwd, covered, forger } = await killed();
  (await forger()).cutTo(covered).save();
  expect(await verify(cwd)).toMatchObject({ verdict: "ok", failureCount: 0 });
  expect(await nextStart(cwd)).toEqual({ kinds: ["opened", "recovered"], clean: false });
  const report = await verify(cwd);
  expect(report).toMatchObject({ verdict: "ok", recoveries: [{ unprovenFirst: covered }] });
});

test("with a clean end forged by the chain key: the root that must end it is missing", async () => {
  const { cwd, covered, forger } = await killed();
  const boot = 1;
  (await forger())
    .cutTo(covered)
    .control("closed", { boot, reason: "asked to stop" })
    .seal()
    .save();
  const report = await verify(cwd);
  expect(report).toMatchObject({ verdict: "ok", failureCount: 0 });
  const detail = `the root that ends with seal ${covered + 1} is not here`;
  expect(report.unchecked).toContainEqual(
    expect.objectContaining({ what: "tail", detail: expect.stringContaining(detail) }),
  );
  expect((await nextStart(cwd)).clean).toBe(false);
});

test("a tail cut before the newest root is refused and named, whatever end is forged", async () => {
  for (const isForged of [false, true]) {
    const { cwd, covered, forger } = await killed();
    const cut = (await forger()).cutTo(covered - 2);
    if (isForged) cut.control("closed", { boot: 1, reason: "asked to stop" }).seal();
    cut.save();
    const ended = await spanseal(["serve", "--config", "spanseal.yaml"], { cwd });
    expect(ended).toMatchObject({ code: 3, stdout: "" });
    const report = await verify(cwd);
    expect(report.verdict).toBe("broken");
    const root = isForged ? "bucket/checkpoints" : "checkpoint";
    expect(told(report).join()).toContain(root);
  }
});

test("a recovery forged by the chain key is listed, and named where it contradicts itself", async () => {
  const members = (covered: number, known: number) => ({
    boot: 2,
    discarded_bytes: 0,
    discarded_digest: null,
    known_committed: known,
    reason: "unclean_start",
    recovery_point: covered,
    time: "1",
    unproven_end: null,
    unproven_first: covered,
  });
  const opened = (covered: number, tip: string) => ({
    boot: 2,
    clean: false,
    mode: "soc2",
    previous_size: covered,
    previous_tip: tip,
    publish_targets: [],
    seal_interval_ms: 1,
    software_version: "0",
  });
  for (const beyond of [0, 1]) {
    const { cwd, covered, forger } = await killed();
    const forged = (await forger()).cutTo(covered);
    const tip = Buffer.from(forged.records.at(-1)!.mac).toString("hex");
    forged.control("opened", opened(covered, tip));
    forged.control("recovered", members(covered, covered + beyond)).save();
    const report = await verify(cwd);
    expect(told(report)).toEqual(beyond === 0 ? [] : [`truncated record ${covered + 1}`]);
    expect(report.recoveries).toMatchObject([{ index: covered + 1, unprovenFirst: covered }]);
  }
});

test("history rewritten by the chain key under a published root", async () => {
  const { cwd, covered, forger } = await killed();
  const chain = { namespace: "clinic", tenant: "north" };
  const rewritten = (await forger()).cutTo(covered - 3);
  const body = Buffer.from('{"nonce":"00","schema":"spanseal.record/v1"}');
  while (rewritten.records.length < covered - 1) rewritten.append(chain, "action", body);
  rewritten.seal().save();
  expect((await spanseal(["serve", "--config", "spanseal.yaml"], { cwd })).code).toBe(3);
  const report = await verify(cwd);
  const first = `tile/entries/000.p/${covered}`;
  expect(told(report)).toEqual([`rolled_back bucket/checkpoints/${covered}`, `altered ${first}`]);
  const alone = await verify(cwd, "--no-bucket");
  expect(told(alone)).toEqual(["root_mismatch checkpoint", `altered ${first}`]);
});

/** What a sender may try to be taken for the sidecar itself. */
const impostures: readonly [signal: "traces" | "logs", body: Uint8Array][] = [
  [
    "traces",
    traces([span({ name: "seal" })], {
      resource: { "service.namespace": "spanseal", "tenant.id": "system" },
    }),
  ],
  ["traces", traces([span({ attributes: { "service.namespace": "spanseal" } })])],
  [
    "logs",
    logs([{ timeUnixNano: 1n, eventName: "spanseal.decision" }], {
      resource: { "service.namespace": "spanseal" },
    }),
  ],
];

test("a sender is refused the namespace of the sidecar, and cannot make a control record", async () => {
  const sidecar = await startSidecar();
  const before = (await recordsOf(sidecar)).length;
  for (const [signal, body] of impostures) {
    await expect(post(sidecar.ready.endpoints.http, signal, body)).rejects.toThrow(": 400 ");
  }
  expect(await recordsOf(sidecar)).toHaveLength(before);
  const claims = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "x",
    "spanseal.kind": "seal",
    "spanseal.record.id": ["00".repeat(16)],
    kind: "key_rotated",
    schema: "spanseal.control/v1",
  };
  const claimed = traces([span({ name: "key_rotated", attributes: claims })]);
  await post(sidecar.ready.endpoints.http, "traces", claimed);
  const added = (await recordsOf(sidecar)).slice(before);
  expect(added.map(({ kind, body }) => [kind, body.schema])).toEqual([
    ["action", "spanseal.record/v1"],
  ]);
  expect(added[0]!.id).not.toBe("00".repeat(16));
  await sidecar.stop();
  expect(await verify(sidecar.cwd)).toMatchObject({ verdict: "ok", failureCount: 0 });
});

async function replica(options: StartOptions): Promise<SidecarProcess> {
  return launchSidecar(options, (child) => onTestFinished(() => void child.kill("SIGKILL")));
}

test("two replicas of one configuration have their own logs in one bucket", async () => {
  const bucket = join(temporaryFolder(), "bucket");
  mkdirSync(bucket);
  const config = { publish: { bucket }, ledger: { origin: "audit.example.com/prod" } };
  const [left, right] = await Promise.all([replica({ config }), replica({ config })]);
  await Promise.all([
    post(left.ready.endpoints.http, "traces", north),
    post(right.ready.endpoints.http, "traces", south),
  ]);
  const roots = await Promise.all([publish(left.cwd), publish(right.cwd)]);
  expect(roots.map(({ code }) => code)).toEqual([0, 0]);
  expect(left.ready.public_key.split("+")[0]).not.toBe(right.ready.public_key.split("+")[0]);
  await Promise.all([left.stop(), right.stop()]);
  for (const { cwd } of [left, right]) {
    expect(await verify(cwd, "--bucket", bucket)).toMatchObject({ verdict: "ok", failureCount: 0 });
  }
});

test("a ledger that was copied and started twice: the second to publish is stopped, and says why", async () => {
  const bucket = join(temporaryFolder(), "bucket");
  const config = { publish: { bucket } };
  const first = await replica({ config });
  await post(first.ready.endpoints.http, "traces", north);
  await first.stop();
  const copy = temporaryFolder();
  cpSync(first.cwd, copy, { recursive: true, filter: (path) => !path.endsWith(".sock") });

  const [original, fork] = [
    await replica({ cwd: first.cwd, config }),
    await replica({ cwd: copy, config }),
  ];
  await post(original.ready.endpoints.http, "traces", south);
  await post(
    fork.ready.endpoints.http,
    "traces",
    traces([span({ name: "fork", attributes: { "gen_ai.operation.name": "chat" } })]),
  );
  expect((await publish(original.cwd)).code).toBe(0);
  const refused = await publish(fork.cwd);
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toMatch(
    /another root|truncated|shorter|two sidecars|newest of the ledger/,
  );
  await eventually(async () => {
    const { code, reasons } = await readinessOf(fork);
    expect(code).toBe(503);
    expect(reasons).toMatch(/publish/);
  });
  await Promise.all([original.stop(), fork.stop()]);
  expect(await verify(original.cwd)).toMatchObject({ verdict: "ok", failureCount: 0 });
  const report = await verify(fork.cwd);
  expect(report.verdict).toBe("broken");
  expect(told(report).join()).toContain("rolled_back bucket/checkpoints/");
  expect((await spanseal(["serve", "--config", "spanseal.yaml"], { cwd: fork.cwd })).code).toBe(3);
});
