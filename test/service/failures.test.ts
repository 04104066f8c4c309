import { spawn } from "node:child_process";
import type { StdioOptions } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { stringify } from "yaml";
import { signalEchoMs } from "../../src/limits.ts";
import { agentRequest } from "../support/agent-load.ts";
import { beyondTheTestMs } from "../support/patience.ts";
import { freePorts, startSidecar, temporaryFolder } from "./sidecar-process.ts";
import type { SidecarProcess } from "./sidecar-process.ts";

const request = agentRequest({ seed: 1, spans: 8, personalDataShare: 1 });

function send(sidecar: SidecarProcess, body: Uint8Array = request): Promise<Response> {
  return fetch(`http://${sidecar.ready.endpoints.http}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body: Buffer.from(body),
  });
}

/** A sink that answers as told. */
async function startSink(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server: Server = createServer((incoming, response) => {
    incoming.resume().once("end", () => answer(incoming, response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function readiness(sidecar: SidecarProcess): Promise<[number, string]> {
  const ready = await sidecar.operations("/readyz");
  return [ready.status, await ready.text()];
}

test("requests go on to the sink, and its refusal of credentials shows in readiness", async () => {
  let status = 200;
  const taken: string[] = [];
  const endpoint = await startSink((incoming, response) => {
    taken.push(`${incoming.method} ${incoming.url} ${incoming.headers["x-tenant"] as string}`);
    response.writeHead(status, { "content-type": "application/x-protobuf" }).end();
  });
  const headers = { "x-tenant": "acme" };
  const config = { exporters: { otlp_http: { endpoint, headers } } };
  const sidecar = await startSidecar({ config });
  expect((await send(sidecar)).status).toBe(200);
  await vi.waitFor(() => expect(taken).toEqual(["POST /v1/traces acme"]));
  expect((await readiness(sidecar))[0]).toBe(200);
  status = 401;
  expect(
    (await send(sidecar, agentRequest({ seed: 2, spans: 8, personalDataShare: 0 }))).status,
  ).toBe(200);
  await vi.waitFor(async () => {
    const [code, text] = await readiness(sidecar);
    expect(code).toBe(503);
    expect(text).toContain("forwarding of traces is held");
    expect(text).toContain("401");
  });
  const metrics = await (await sidecar.operations("/metrics")).text();
  expect(metrics).toContain('spanseal_forwarded_requests_total{signal="traces",result="sent"} 1');
  expect(metrics).toMatch(/^spanseal_forward_queue_bytes\{signal="traces"\} [1-9]/m);
  expect(await sidecar.stop()).toBe(0);
});

test("beyond publish.max_lag requests are refused and the reason is told", async () => {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, "no-folder"), "");
  const publish = { bucket: "./no-folder", interval: "1s", max_lag: "2s" };
  const sidecar = await startSidecar({ cwd, config: { publish } });
  await vi.waitFor(
    async () => {
      const [code, text] = await readiness(sidecar);
      expect(code).toBe(503);
      expect(text).toContain("publish.max_lag");
    },
    { timeout: 20_000, interval: 200 },
  );
  const refused = await send(sidecar);
  expect(refused.status).toBe(503);
  expect(refused.headers.get("retry-after")).not.toBeNull();
  const metrics = await (await sidecar.operations("/metrics")).text();
  expect(metrics).toContain(
    'spanseal_rejected_requests_total{code="unavailable",transport="http"} 1',
  );
  expect(sidecar.stderr()).toContain("is behind by");
  expect(await sidecar.stop()).toBe(0);
});

test("a bad request is the sender's fault and does not stop the others", async () => {
  const sidecar = await startSidecar();
  expect((await send(sidecar, Buffer.from("no protobuf at all"))).status).toBe(400);
  expect((await send(sidecar)).status).toBe(200);
  expect((await readiness(sidecar))[0]).toBe(200);
  expect(await sidecar.stop()).toBe(0);
});

test("a second signal ends a shutdown that waits; the next start recovers", async () => {
  const sidecar = await startSidecar();
  const [host, port] = sidecar.ready.endpoints.http.split(":");
  const slow = connect(Number(port), host, () =>
    slow.write(
      "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n" +
        "content-length: 1000\r\nexpect: 100-continue\r\n\r\n",
    ),
  );
  slow.on("error", () => undefined);
  onTestFinished(() => {
    slow.destroy();
  });
  // The receiver has the head and waits for the body.
  await new Promise((resolve) => slow.once("data", resolve));
  sidecar.child.kill("SIGTERM");
  await vi.waitFor(() => expect(sidecar.stderr()).toContain("shutting down"));
  await sleep(2 * signalEchoMs);
  expect(await sidecar.stop("SIGINT")).toBe(null);
  expect(sidecar.stderr()).toContain("second signal");
  const next = await startSidecar({ cwd: sidecar.cwd });
  expect(await next.stop()).toBe(0);
  expect(existsSync(join(sidecar.cwd, "spanseal-data/ledger/control.sock"))).toBe(false);
});

test("what cannot be removed at the end does not keep the log from an orderly one", async () => {
  const sidecar = await startSidecar();
  const socket = join(sidecar.cwd, "spanseal-data/ledger/control.sock");
  rmSync(socket);
  mkdirSync(join(socket, "taken"), { recursive: true });
  expect(await sidecar.stop()).toBe(2);
  expect(sidecar.stderr()).toContain('"state":"closed"');
  expect(sidecar.stderr()).toContain("control.sock");
});

test.runIf(process.platform === "linux")(
  "a full disk under stdout ends a start in order, one under stderr does not end it",
  async () => {
    const full = openSync("/dev/full", "w");
    onTestFinished(() => closeSync(full));
    const deaf = startInto(["ignore", full, "pipe"], "--json");
    expect(await deaf.ended).toBe(2);
    expect(deaf.stderr()).toContain('"state":"closed"');
    expect(deaf.stderr()).toContain("ENOSPC");
    const mute = startInto(["ignore", "pipe", full]);
    const socket = join(mute.cwd, "spanseal-data/ledger/control.sock");
    await expect.poll(() => existsSync(socket), { timeout: beyondTheTestMs }).toBe(true);
    mute.child.kill("SIGTERM");
    expect(await mute.ended).toBe(0);
  },
);

function startInto(stdio: StdioOptions, ...options: string[]) {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, "spanseal.yaml"), stringify(freePorts));
  const main = join(import.meta.dirname, "../../src/cli/main.ts");
  const words = [main, "serve", "--config", "spanseal.yaml", ...options];
  const child = spawn(process.execPath, words, { cwd, stdio });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { cwd, child, ended, stderr: () => errors };
}
