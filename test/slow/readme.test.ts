/**
 * The README's commands in a fresh clone, as a stranger types them. Of the two commands that it
 * begins with, `npm ci && npm start` is walked to its end. `npm ci && npm test` is what
 * `.ci/run` does in a clone of its own; here only that its script is there is checked.
 */
import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { stringify } from "yaml";
import { post, shownLines, south } from "../cli/recorded.ts";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);
const readme = readFileSync(join(root, "README.md"), "utf8");
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  scripts: Record<string, string>;
};

/** What the tests were started with must not lead the clone back to this checkout. */
const env = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(npm_|NODE|VITEST|INIT_CWD|OTEL_)/.test(name),
    ),
  ),
  PATH: process.env["PATH"]!.split(":")
    .filter((folder) => !folder.includes("node_modules"))
    .join(":"),
};

test("every npm script that the README names is there, and the two commands are named", () => {
  const named = new Set(
    [...readme.matchAll(/\bnpm (?:run ([a-z][a-z:-]*)|(start|test)\b)/g)].map(
      ([, script, short]) => script ?? short!,
    ),
  );
  expect([...named].filter((name) => scripts[name] === undefined)).toEqual([]);
  for (const name of ["start", "test", "demo", "bench"]) expect(named).toContain(name);
  expect(readme).toMatch(/^npm ci && npm start\b/m);
  expect(readme).toMatch(/^npm ci && npm test\b/m);
});

test(
  "npm ci && npm start in a fresh clone, a request, query, verify, stop",
  { timeout: 240_000 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "spanseal-clone-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const cwd = join(folder, "spanseal");
    await run("git", ["clone", "--quiet", "--no-hardlinks", root, cwd], { env });
    await run("npm", ["ci", "--no-audit", "--no-fund"], { cwd, env, timeout: 180_000 });
    const spanseal = (...parameters: string[]) =>
      run("npx", ["spanseal", ...parameters], { cwd, env });

    const isFree = (await Promise.all([4317, 4318, 4319].map(isPortFree))).every(Boolean);
    const ports = isFree ? [4317, 4318, 4319] : await freePorts(3);
    const config = isFree ? [] : ["--config", writeConfig(cwd, ports)];
    const sidecar = start(cwd, config);
    await sidecar.ready;
    expect(sidecar.output()).toContain(`http://127.0.0.1:${ports[1]}`);
    await post(`127.0.0.1:${ports[1]}`, "traces", south);
    expect((await fetch(`http://127.0.0.1:${ports[2]}/readyz`)).status).toBe(200);

    const queried = await spanseal("query", "--kind", "action", "--json", ...config);
    expect(shownLines(queried.stdout)).toMatchObject([
      { tenant: "south", body: { tool: { name: "charge_card" }, outcome: { status: "failure" } } },
    ]);
    const { stdout: status } = await spanseal("status", "--json", ...config);
    // To the sidecar itself, as a supervisor that knows it does: npm passes SIGTERM to its shell.
    process.kill((JSON.parse(status) as { pid: number }).pid, "SIGTERM");
    expect(await sidecar.ended).toBe(0);
    const verified = await spanseal("verify", ...config);
    expect(verified.stdout).toMatch(/^ok: \d+ records in \d+ chains\n/);

    const keys = await spanseal("keys", "public", ...config);
    expect(sidecar.output()).toContain(keys.stdout.trim());
    expectModes(cwd);
    const { stdout } = await run("git", ["status", "--porcelain", "--untracked-files"], {
      cwd,
      env,
    });
    expect(stdout).toBe(isFree ? "" : "?? elsewhere.yaml\n");
  },
);

/** `npm start` in a group of its own: what it starts ends with the test at last. */
function start(cwd: string, config: readonly string[]) {
  const parameters = config.length === 0 ? ["start"] : ["start", "--", ...config];
  const child: ChildProcess = spawn("npm", parameters, {
    cwd,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  onTestFinished(async () => {
    try {
      process.kill(-child.pid!, "SIGKILL");
    } catch (error) {
      // The whole group has ended.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
    await ended;
  });
  let text = "";
  const ready = new Promise<void>((resolve, reject) => {
    const read = (chunk: string): void => {
      text += chunk;
      if (text.includes("OTEL_EXPORTER_OTLP_ENDPOINT=")) resolve();
    };
    child.stdout!.setEncoding("utf8").on("data", read);
    child.stderr!.setEncoding("utf8").on("data", read);
    child.once("close", (code) => reject(new Error(`npm start ended with ${code}: ${text}`)));
  });
  return { child, ended, ready, output: () => text };
}

/** Files 0600, folders 0700, in what the sidecar created. */
function expectModes(cwd: string): void {
  const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);
  const keys = join(cwd, "spanseal-keys");
  expect(readdirSync(keys).toSorted()).toEqual(["chain.1.key", "log.1.key", "pepper.1.key"]);
  for (const top of [keys, join(cwd, "spanseal-data/ledger")]) {
    expect([top, modeOf(top)]).toEqual([top, "700"]);
    for (const entry of readdirSync(top, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      const wanted = entry.isDirectory() ? ["700"] : ["600", "400"];
      expect([path, wanted]).toEqual([path, expect.arrayContaining([modeOf(path)])]);
    }
  }
}

function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    ports.push((server.address() as { port: number }).port);
  }
  for (const server of servers) await new Promise((closed) => server.close(closed));
  return ports;
}

function writeConfig(cwd: string, ports: readonly number[]): string {
  const [grpc, http, operations] = ports.map((port) => ({ endpoint: `127.0.0.1:${port}` }));
  const config = { receivers: { otlp: { protocols: { grpc, http } } }, operations };
  writeFileSync(join(cwd, "elsewhere.yaml"), stringify(config));
  return "elsewhere.yaml";
}
