/** Who may send, what is open to others, and what of a person is left anywhere. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { expect, onTestFinished, test } from "vitest";
import type { Signal } from "../../src/audit/otlp/schema.ts";
import { spanseal } from "../cli/command.ts";
import { startHttpSink } from "../forward/http-sink-server.ts";
import { newAuthority } from "../ingest/certificate.ts";
import { grpcClient } from "../ingest/grpc-client.ts";
import { post, PROTOBUF } from "../ingest/receiver.ts";
import { fullMessage } from "../redact/support.ts";
import { startSidecar, temporaryFolder } from "../service/sidecar-process.ts";
import type { SidecarProcess } from "../service/sidecar-process.ts";
import { encodeOtlp, encodeOtlpJson } from "../support/otlp-writer.ts";
import type { Plain } from "../support/otlp-writer.ts";
import {
  eventually,
  expectVerified,
  filesBelow,
  filesWhileRunning,
  ledgerOf,
  metricsOf,
  recordsOf,
  tearLastLine,
} from "./observation.ts";
import {
  grpcOf,
  oneCall,
  portOf,
  postTo,
  requestName,
  requestsWith,
  send,
  signals,
} from "./telemetry.ts";

const anyPort = "127.0.0.1:0";
const grpcStatus = grpc.status;

const authority = newAuthority("test authority");
const server = authority.issue("server");
const agent = authority.issue("agent");
const stranger = newAuthority("another authority").issue("agent");

/** A folder with the server's certificate, and a configuration of both receivers. */
function secured(receiver: Readonly<Record<string, unknown>>): { cwd: string; config: Plain } {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, "cert.pem"), server.certificate);
  writeFileSync(join(cwd, "key.pem"), server.key, { mode: 0o600 });
  writeFileSync(join(cwd, "ca.pem"), authority.certificate);
  writeFileSync(join(cwd, "token"), "correct-token\n", { mode: 0o600 });
  const one = { endpoint: anyPort, ...receiver };
  return { cwd, config: { receivers: { otlp: { protocols: { grpc: one, http: one } } } } };
}

interface Sender {
  readonly certificate?: { readonly certificate: string; readonly key: string };
  readonly authorization?: string;
}

/** Sends one tool call over both transports with TLS; the HTTP status and the gRPC code. */
async function sendSecurely(
  { ready }: SidecarProcess,
  id: number,
  { certificate, authorization }: Sender,
): Promise<[number | "refused", number]> {
  const credentials = authorization === undefined ? {} : { authorization };
  const ca = authority.certificate;
  const pair =
    certificate === undefined ? {} : { cert: certificate.certificate, key: certificate.key };
  const members = { "user.id": "alice" };
  const http = await post(portOf(ready.endpoints.http), {
    headers: { ...PROTOBUF, ...credentials },
    body: oneCall({ id, members }),
    tls: { ca, ...pair },
  }).then(
    ({ status }) => status,
    () => "refused" as const,
  );
  const [key, chain] = certificate ? [certificate.key, certificate.certificate] : [];
  const buffer = (text?: string): Buffer | null => (text === undefined ? null : Buffer.from(text));
  const channel = grpc.credentials.createSsl(Buffer.from(ca), buffer(key), buffer(chain));
  const client = grpcClient(portOf(ready.endpoints.grpc), channel);
  const outcome = await client.export(oneCall({ id: id + 1, members }), {
    metadata: credentials,
    deadlineMs: 5000,
  });
  return [http, outcome.code];
}

async function assurances(sidecar: SidecarProcess): Promise<unknown[]> {
  const records = await recordsOf(sidecar, "action");
  return records.map(({ body }) => body.actor?.assurance);
}

test("TLS and bearer token, as configured, for both transports", async () => {
  const tls = { cert_file: "cert.pem", key_file: "key.pem" };
  const sidecar = await startSidecar(secured({ tls, auth: { bearer_token_file: "token" } }));
  expect(sidecar.ready.environment["OTEL_EXPORTER_OTLP_ENDPOINT"]).toMatch(/^https:/);
  const accepted = { authorization: "Bearer correct-token" };
  expect(await sendSecurely(sidecar, 1, accepted)).toEqual([200, grpcStatus.OK]);
  for (const authorization of [undefined, "Bearer wrong-token", "Basic Y29ycmVjdA=="]) {
    const sender = authorization === undefined ? {} : { authorization };
    expect(await sendSecurely(sidecar, 3, sender)).toEqual([401, grpcStatus.UNAUTHENTICATED]);
  }
  // Plain text does not get as far as the token.
  await expect(send(sidecar, oneCall({ id: 5 }))).rejects.toThrow("fetch failed");
  expect(await assurances(sidecar)).toEqual(["authenticated", "authenticated"]);
  const metrics = await metricsOf(sidecar);
  for (const transport of ["http", "grpc"]) {
    const rejected = `spanseal_rejected_requests_total{code="unauthenticated",transport="${transport}"}`;
    expect(metrics.get(rejected)).toBe(3);
  }
  expect(await sidecar.stop()).toBe(0);
  expect(sidecar.stderr()).not.toMatch(/correct-token|wrong-token|Y29ycmVjdA/);
});

test("mTLS, as configured: only a certificate of the authority gets in", async () => {
  const tls = { cert_file: "cert.pem", key_file: "key.pem", client_ca_file: "ca.pem" };
  const sidecar = await startSidecar(secured({ tls }));
  expect(await sendSecurely(sidecar, 1, { certificate: agent })).toEqual([200, grpcStatus.OK]);
  for (const sender of [{}, { certificate: stranger }]) {
    const [http, code] = await sendSecurely(sidecar, 3, sender);
    expect(http).toBe("refused");
    expect(code).toBe(grpcStatus.UNAVAILABLE);
  }
  expect(await assurances(sidecar)).toEqual(["authenticated", "authenticated"]);
  expect(await sidecar.stop()).toBe(0);
});

test("a sender without credentials is not called authenticated", async () => {
  const sidecar = await startSidecar();
  expect(await send(sidecar, oneCall({ id: 1, members: { "user.id": "alice" } }))).toBe(200);
  expect(await assurances(sidecar)).toEqual(["claimed"]);
  await sidecar.stop();
});

/** Writes a line to stderr for every socket that the process opens as a client, and every look-up. */
const socketWatch = `
  import { subscribe } from "node:diagnostics_channel";
  import dns from "node:dns";
  import { writeSync } from "node:fs";
  const say = (what) => writeSync(2, "OUTBOUND " + what + "\\n");
  subscribe("net.client.socket", () => say("tcp"));
  subscribe("udp.socket", () => say("udp"));
  const lookup = dns.lookup;
  dns.lookup = (name, ...rest) => { if (name !== "127.0.0.1") say("dns"); return lookup(name, ...rest); };
`;

const watchOption = `--import=data:text/javascript,${encodeURIComponent(socketWatch)}`;
/** What a host may have set, for other programs. */
const ambient = {
  NODE_OPTIONS: watchOption,
  HTTP_PROXY: "http://127.0.0.1:9",
  HTTPS_PROXY: "http://127.0.0.1:9",
  OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9",
  AWS_EC2_METADATA_SERVICE_ENDPOINT: "http://127.0.0.1:9",
};

test("no outbound socket is opened without a sink, from start to end", async () => {
  const publish = { interval: "1s" };
  const sidecar = await startSidecar({ config: { publish }, env: ambient });
  const exportTo = grpcOf(sidecar);
  for (const signal of signals) {
    const { [signal]: body } = requestsWith("some text", 1);
    expect((await postTo(sidecar, signal, body)).status).toBe(200);
    expect((await exportTo(signal, body)).code).toBe(grpcStatus.OK);
  }
  await eventually(async () =>
    expect((await metricsOf(sidecar)).get("spanseal_published_records")).toBeGreaterThan(3),
  );
  expect(await sidecar.stop()).toBe(0);
  expect(sidecar.stderr()).not.toContain("OUTBOUND");
});

test("the watch of the test before sees the sockets to a configured sink", async () => {
  const sink = await startHttpSink();
  onTestFinished(() => sink.close());
  const config = { exporters: { otlp_http: { endpoint: sink.url } } };
  const sidecar = await startSidecar({ config, env: ambient });
  expect(await send(sidecar, oneCall({ id: 1 }))).toBe(200);
  await eventually(() => expect(sink.names).toEqual(["call 1"]));
  expect(sidecar.stderr()).toContain("OUTBOUND tcp");
  expect(sidecar.stderr()).not.toMatch(/OUTBOUND (?:udp|dns)/);
  await sidecar.stop();
});

test("modes: what is ours is closed to others, closed segments are read-only", async () => {
  const sink = await startHttpSink();
  onTestFinished(() => sink.close());
  sink.otherwise = { status: 503 };
  const exporters = { otlp_http: { endpoint: sink.url } };
  const config = { exporters, ledger: { segment: { max_size: "1MiB" } } };
  // The mask of the process that starts it is no protection to count on.
  const NODE_OPTIONS = `--import=data:text/javascript,process.umask(0)`;
  const sidecar = await startSidecar({ config, env: { NODE_OPTIONS } });
  const members = { "gen_ai.tool.call.result": "long ".repeat(60_000) };
  for (let id = 0; id < 9; id++) {
    expect(await send(sidecar, oneCall({ id, members }))).toBe(200);
  }
  await spanseal(["publish", "--config", "spanseal.yaml"], { cwd: sidecar.cwd });
  await sidecar.stop("SIGKILL");
  tearLastLine(ledgerOf(sidecar));
  const again = await startSidecar({ cwd: sidecar.cwd, config, env: { NODE_OPTIONS } });
  expect(await again.stop()).toBe(0);

  const found = filesBelow(join(sidecar.cwd, "spanseal-data/ledger")).map((file) => ({
    ...file,
    path: `ledger/${file.path}`,
  }));
  found.push(...filesBelow(join(sidecar.cwd, "spanseal-keys")));
  const segments = found.filter(({ path }) => path.endsWith(".jsonl")).map(({ path }) => path);
  expect(segments.length).toBeGreaterThan(2);
  const closed = new Set(segments.slice(0, -1));
  const wanted = ({ path, isFolder }: (typeof found)[number]): number =>
    isFolder ? 0o700 : closed.has(path) ? 0o400 : 0o600;
  const wrong = found
    .filter((file) => file.mode !== wanted(file))
    .map(({ path, mode }) => `${path} ${mode.toString(8)}`);
  expect(wrong).toEqual([]);
  const folders = new Set(found.map(({ path }) => path.split("/").slice(0, 2).join("/")));
  for (const folder of ["segments", "spool", "state", "tile", "quarantine", "publish"]) {
    expect(folders).toContain(`ledger/${folder}`);
  }
});

const privateKey = `-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqG\n-----END PRIVATE KEY-----`;

/** Personal data and secrets in the words around them that give some of them away. */
const planted: readonly (readonly [text: string, value: string])[] = [
  ["mail jane.roe@example.com now", "jane.roe@example.com"],
  ["her ssn is 536-90-4399.", "536-90-4399"],
  ["card 5500 0055 5555 5559 please", "5500 0055 5555 5559"],
  ["call (415) 555-2671", "(415) 555-2671"],
  ["from 203.0.113.77 today", "203.0.113.77"],
  ["to 2001:db8::ff00:42:8329", "ff00:42:8329"],
  ["iban DE89 3704 0044 0532 0130 00", "3704 0044 0532 0130"],
  ["date of birth: 1984-02-29", "1984-02-29"],
  ["MRN: QX-847362519048", "QX-847362519048"],
  ["key AKIAQYLPMN5HHHFPZAM2 leaked", "AKIAQYLPMN5HHHFPZAM2"],
  [`token ghp_${"aB1".repeat(12)}`, "aB1aB1aB1"],
  ["slack xoxb-123456789012-abcdefABCDEF", "abcdefABCDEF"],
  ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJl", "eyJzdWIiOiJwbGFudGVkIn0"],
  [privateKey, "MIGHAgEAMBMGByqGSM49"],
  ["authorization: Bearer c2VjcmV0LXBsYW50ZWQ", "c2VjcmV0LXBsYW50ZWQ"],
  ["authorization: Basic cGxhbnRlZDp3b3Jk", "cGxhbnRlZDp3b3Jk"],
  ["postgres://planted:hunter22@db/x", "hunter22"],
  ["password=Tr0ub4dor-and-3", "Tr0ub4dor-and-3"],
];

const bareMin = 9;

/** How a value could stand in a file. */
function disguises(value: string): readonly (readonly [string, Buffer])[] {
  const bytes = Buffer.from(value);
  const bare = value.replaceAll(/[^\w]/g, "");
  return [
    ["plain", bytes],
    // Fewer digits stand by chance among so many times and hashes.
    ...(bare.length < bareMin ? [] : [["without separators", Buffer.from(bare)] as const]),
    ["UTF-16", Buffer.from(value, "utf16le")],
    ["hexadecimal", Buffer.from(bytes.toString("hex"))],
    ["base64", Buffer.from(bytes.toString("base64").slice(0, -4))],
    ["JSON in JSON", Buffer.from(JSON.stringify(JSON.stringify(value)).slice(3, -3))],
  ];
}

function leaks(places: readonly { path: string; bytes: Uint8Array }[]): string[] {
  return places.flatMap(({ path, bytes }) =>
    planted.flatMap(([, value]) =>
      disguises(value)
        .filter(([, needle]) => Buffer.from(bytes).includes(needle))
        .map(([how]) => `${path}: ${value} (${how})`),
    ),
  );
}

/** A request of a signal with a planted text in every place where text may stand. */
function plantedRequest(signal: Signal): Plain {
  let at = 0;
  const word = (): string => planted[at++ % planted.length]![0];
  const { value, positions } = fullMessage(requestName[signal], word);
  expect(positions.length).toBeGreaterThan(10);
  return value;
}

function plantedCalls(): Uint8Array[] {
  return planted.flatMap(([text], at) => {
    const nested = JSON.stringify({ note: text, again: JSON.stringify({ deep: [text] }) });
    const members = {
      "gen_ai.tool.call.arguments": nested,
      "gen_ai.tool.call.result": text,
      "user.id": text,
      "gen_ai.agent.name": text,
      "gen_ai.input.messages": JSON.stringify([{ role: "user", parts: [{ content: text }] }]),
      list: [text, { inner: text }],
      bytes: Buffer.from(text),
      [text]: "as a key",
    };
    return [oneCall({ id: 100 + at, name: text, members })];
  });
}

/** Everything that a sender can do wrong, with personal data in it. */
async function sendBadRequests(sidecar: SidecarProcess): Promise<string[]> {
  const answers: string[] = [];
  const exportTo = grpcOf(sidecar);
  for (const [text] of planted) {
    const cut = Buffer.concat([oneCall({ id: 1, name: text }), Buffer.from(text)]);
    const json = `{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":${JSON.stringify(text)},`;
    const unknown = `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":${JSON.stringify(text)}}]}]}]}`;
    for (const body of [cut, json, unknown]) {
      const response = await postTo(sidecar, "traces", body);
      expect(response.status).toBe(400);
      answers.push(await response.text());
    }
    const outcome = await exportTo("logs", cut);
    expect(outcome.code).toBe(grpcStatus.INVALID_ARGUMENT);
    answers.push(outcome.message, String(outcome.status?.message));
  }
  return answers;
}

async function sendPlanted(sidecar: SidecarProcess): Promise<void> {
  const exportTo = grpcOf(sidecar);
  for (const signal of signals) {
    const plain = plantedRequest(signal);
    const bytes = encodeOtlp(requestName[signal], plain);
    expect((await postTo(sidecar, signal, bytes)).status).toBe(200);
    expect((await postTo(sidecar, signal, encodeOtlpJson(requestName[signal], plain))).status).toBe(
      200,
    );
    expect((await exportTo(signal, bytes)).code).toBe(grpcStatus.OK);
  }
  for (const body of plantedCalls()) expect(await send(sidecar, body)).toBe(200);
}

/** Every byte that a sidecar wrote anywhere, and what it says about itself. */
async function everythingOf(
  sidecar: SidecarProcess,
): Promise<{ path: string; bytes: Uint8Array }[]> {
  const told = await Promise.all(
    ["/metrics", "/readyz", "/healthz"].map(async (path) => ({
      path,
      bytes: Buffer.from(await (await sidecar.operations(path)).text()),
    })),
  );
  const status = await spanseal(["status", "--config", "spanseal.yaml", "--json"], {
    cwd: sidecar.cwd,
  });
  return [
    ...told,
    { path: "status", bytes: Buffer.from(status.stdout + status.stderr) },
    { path: "stderr", bytes: Buffer.from(sidecar.stderr()) },
    ...(await filesWhileRunning(sidecar.cwd)).filter(({ isFolder }) => !isFolder),
  ];
}

test("nothing of a person is left in any byte of any file, log, metric or answer", async () => {
  const sink = await startHttpSink();
  onTestFinished(() => sink.close());
  const quoted = planted.map(([text]) => text).join(", ");
  sink.script = [{ status: 400, headers: { "content-type": "text/plain" }, body: quoted }];
  sink.otherwise = { status: 403, headers: { "content-type": "text/plain" }, body: quoted };
  const config = {
    exporters: { otlp_http: { endpoint: sink.url } },
    service: { telemetry: { logs: { level: "debug" } } },
  };
  const sidecar = await startSidecar({ config });
  await sendPlanted(sidecar);
  const answers = await sendBadRequests(sidecar);
  await eventually(async () => expect(await recordsOf(sidecar, "sink_rejected")).toHaveLength(1));
  expect(leaks([{ path: "answers", bytes: Buffer.from(answers.join("\n")) }])).toEqual([]);
  await spanseal(["publish", "--config", "spanseal.yaml"], { cwd: sidecar.cwd });
  const everything = await everythingOf(sidecar);
  expect(everything.map(({ path }) => path)).toContainEqual(
    expect.stringContaining("spool/traces"),
  );
  expect(leaks(everything)).toEqual([]);

  // A torn end goes to quarantine/, and the backlog of the spool is sent once more.
  await sidecar.stop("SIGKILL");
  tearLastLine(ledgerOf(sidecar));
  const again = await startSidecar({ cwd: sidecar.cwd, config });
  expect(await recordsOf(again, "recovered")).toHaveLength(1);
  const rest = await everythingOf(again);
  expect(rest.map(({ path }) => path)).toContainEqual(expect.stringContaining("/quarantine/"));
  expect(leaks(rest)).toEqual([]);
  expect(await again.stop()).toBe(0);
  await expectVerified(sidecar.cwd);
});

test("the search of the test before finds what is written when redaction is off", async () => {
  const sidecar = await startSidecar({ config: { redaction: { packs: [] } } });
  for (const body of plantedCalls()) expect(await send(sidecar, body)).toBe(200);
  const found = leaks(await filesWhileRunning(sidecar.cwd));
  for (const [, value] of planted) {
    expect(found).toContainEqual(expect.stringContaining(`: ${value} (`));
  }
  await sidecar.stop();
});
