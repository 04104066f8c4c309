/** Processes that are stopped, killed while they start, or started twice. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished } from "vitest";
import { spanseal } from "../../cli/command.ts";
import { temporaryFolder } from "../../service/sidecar-process.ts";
import { readinessOf } from "../../system/observation.ts";
import { isFull } from "../outcome.ts";
import { scenario } from "./scenario.ts";
import { World } from "./world.ts";

const main = join(import.meta.dirname, "../../../src/cli/main.ts");
const serve = [main, "serve", "--config", "spanseal.yaml"];
const minute = 60_000;

// What matters is longer than every timeout between the two sides; the slow suite shortens it.
const stoppedMs = isFull ? minute : 8000;

scenario("stopped and continued under load", undefined, async (counts) => {
  const world = await World.open();
  const sidecar = await world.start();
  const stop = world.load(sidecar);
  await delay(500);
  sidecar.child.kill("SIGSTOP");
  await delay(stoppedMs);
  sidecar.child.kill("SIGCONT");
  const before = world.acknowledged.length;
  while (world.acknowledged.length < before + 20) await delay(20);
  await stop();
  expect(await readinessOf(sidecar)).toMatchObject({ code: 200 });
  expect(await sidecar.stop()).toBe(0);
  await world.judge(counts);
});

scenario("restart storm: killed while starting, again and again", undefined, async (counts) => {
  const world = await World.open();
  const first = await world.start();
  await world.sendAll(first, 20);
  await first.stop("SIGKILL");
  const kills = 20;
  for (let at = 0; at < kills; at++) {
    const child = spawn(process.execPath, serve, { cwd: world.cwd, stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    // From before anything of ours runs to after the start is over.
    await delay(100 + at * 60);
    child.kill("SIGKILL");
    await ended;
    if (at % 5 === 4) {
      const between = await world.start();
      await world.sendAll(between, 1);
      await between.stop("SIGKILL");
    }
  }
  await world.judge(counts);
  counts.runs += kills - 1;
});

scenario("two processes on one ledger", undefined, async (counts) => {
  const world = await World.open();
  const first = await world.start();
  const stop = world.load(first);
  for (let at = 0; at < 3; at++) {
    const second = await spanseal(["serve", "--config", "spanseal.yaml"], { cwd: world.cwd });
    expect(second.code).toBe(3);
    expect(second.stderr).toContain(`in use by process ${first.ready.pid}`);
  }
  const before = world.acknowledged.length;
  while (world.acknowledged.length < before + 10) await delay(20);
  await stop();
  expect(await first.stop()).toBe(0);
  await world.judge(counts);
});

scenario(
  "a second process after the first was killed, and a stale owner",
  undefined,
  async (counts) => {
    const world = await World.open();
    const first = await world.start();
    await world.sendAll(first, 5);
    await first.stop("SIGKILL");
    // Whoever is named there holds nothing: a process of another container, or this test.
    writeFileSync(join(first.ready.ledger, "lock.owner"), `process ${process.pid} on host other\n`);
    const second = await world.start();
    await world.sendAll(second, 5);
    await second.stop("SIGKILL");
    await world.judge(counts);
  },
);

scenario("a start that cannot bind its ports leaves nothing behind", undefined, async (counts) => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  onTestFinished(() => void taken.close());
  const { port } = taken.address() as AddressInfo;
  const free = "{ endpoint: 127.0.0.1:0 }";
  for (const place of ["grpc", "http", "operations"]) {
    const cwd = temporaryFolder();
    const at = (name: string): string =>
      name === place ? `{ endpoint: "127.0.0.1:${port}" }` : free;
    writeFileSync(
      join(cwd, "spanseal.yaml"),
      `receivers: { otlp: { protocols: { grpc: ${at("grpc")}, http: ${at("http")} } } }\n` +
        `operations: ${at("operations")}\n`,
    );
    const ended = await spanseal(["serve", "--config", "spanseal.yaml"], { cwd });
    expect(ended.code).not.toBe(0);
    expect(ended.stderr).toMatch(/address already in use|EADDRINUSE/);
    expect(existsSync(join(cwd, "spanseal-data"))).toBe(false);
    expect(existsSync(join(cwd, "spanseal-keys"))).toBe(false);
    counts.runs++;
  }
});
