/** H21: TLS, client certificates and bearer tokens, on both transports. */
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect as connectPlain } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { expect, onTestFinished, test } from "vitest";
import type { IngestLogEntry, ReceiverOptions } from "../../src/ingest/receivers.ts";
import type { TlsFiles } from "../../src/ingest/tls-files.ts";
import { agentRequest } from "../support/agent-load.ts";
import { type Certificate, newAuthority } from "./certificate.ts";
import { grpcClient } from "./grpc-client.ts";
import { decodeStatus } from "../support/google-status.ts";
import { post, PROTOBUF, type Rig, startRig, until } from "./receiver.ts";

const spans = agentRequest({ seed: 7, spans: 16, personalDataShare: 0.2 });
const authority = newAuthority("test authority");
const server = authority.issue("server");

async function folder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "spanseal-ingest-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

async function writeTls(directory: string, { certificate, key }: Certificate): Promise<TlsFiles> {
  const files = { certFile: join(directory, "cert.pem"), keyFile: join(directory, "key.pem") };
  await writeFile(files.keyFile, key);
  await writeFile(files.certFile, certificate);
  return files;
}

/** Both transports ask for a token of this file. */
function withTokens(bearerTokenFile: string): Pick<ReceiverOptions, "grpc" | "http"> {
  const endpoint = { host: "127.0.0.1", port: 0, auth: { bearerTokenFile } };
  return { grpc: endpoint, http: endpoint };
}

function startTls(tls: TlsFiles): Promise<Rig> {
  const endpoint = { host: "127.0.0.1", port: 0, tls };
  return startRig({ http: endpoint, grpc: endpoint });
}

function overTls(
  ca: string,
  client?: Certificate,
): { http: object; grpc: grpc.ChannelCredentials } {
  const pair = client === undefined ? {} : { cert: client.certificate, key: client.key };
  const [key, chain] = client === undefined ? [] : [client.key, client.certificate];
  const buffer = (text?: string): Buffer | null => (text === undefined ? null : Buffer.from(text));
  return {
    http: { ca, ...pair },
    grpc: grpc.credentials.createSsl(Buffer.from(ca), buffer(key), buffer(chain)),
  };
}

test("TLS: both transports, a sender without proof of who it is", async () => {
  const rig = await startTls(await writeTls(await folder(), server));
  const trust = overTls(authority.certificate);
  expect((await post(rig.httpPort, { body: spans, tls: trust.http })).status).toBe(200);
  expect((await grpcClient(rig.grpcPort, trust.grpc).export(spans)).code).toBe(0);
  const peer = { address: "127.0.0.1", authenticated: false };
  expect(rig.requests.map((request) => request.peer)).toEqual([peer, peer]);
});

test("mTLS: a certificate of the authority proves the sender, others do not get in", async () => {
  const directory = await folder();
  const clientCaFile = join(directory, "ca.pem");
  await writeFile(clientCaFile, authority.certificate);
  const rig = await startTls({ ...(await writeTls(directory, server)), clientCaFile });
  const known = overTls(authority.certificate, authority.issue("agent"));
  expect((await post(rig.httpPort, { body: spans, tls: known.http })).status).toBe(200);
  expect((await grpcClient(rig.grpcPort, known.grpc).export(spans)).code).toBe(0);
  const peer = { address: "127.0.0.1", authenticated: true };
  expect(rig.requests.map((request) => request.peer)).toEqual([peer, peer]);

  const stranger = newAuthority("another authority").issue("agent");
  for (const client of [undefined, stranger]) {
    const trust = overTls(authority.certificate, client);
    await expect(post(rig.httpPort, { body: spans, tls: trust.http })).rejects.toThrow(
      /alert|ECONNRESET|hang up|EPIPE/,
    );
    const outcome = await grpcClient(rig.grpcPort, trust.grpc).export(spans, { deadlineMs: 2_000 });
    expect(outcome.code).not.toBe(0);
  }
  expect(rig.requests).toHaveLength(2);
});

test("TLS: a connection without a handshake is closed", async () => {
  const tls = await writeTls(await folder(), server);
  const endpoint = { host: "127.0.0.1", port: 0, tls };
  const rig = await startRig({ http: endpoint, grpc: endpoint, headerTimeMsMax: 150 });
  for (const port of [rig.httpPort, rig.grpcPort]) {
    const socket = connectPlain(port, "127.0.0.1");
    socket.resume();
    await once(socket, "close");
    expect(socket.bytesRead).toBe(0);
  }
});

function servedName(port: number, protocols: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, ca: authority.certificate, ALPNProtocols: protocols }, () => {
      const { subject } = socket.getPeerCertificate();
      socket.destroy();
      resolve(String(subject.CN));
    });
    socket.on("error", reject);
  });
}

test("TLS: new files are used without a restart, half of a replacement is not", async () => {
  const directory = await folder();
  const files = await writeTls(directory, server);
  const rig = await startTls({ ...files, reloadIntervalMs: 20 });
  expect(await servedName(rig.httpPort, ["http/1.1"])).toBe("server");
  const next = authority.issue("next server");
  await writeFile(files.certFile, next.certificate);
  await until(() => rig.log.filter(({ level }) => level === "error").length === 2);
  expect(rig.log.map(({ message }) => message)).toContainEqual(
    expect.stringContaining("the old ones stay in use"),
  );
  expect(await servedName(rig.httpPort, ["http/1.1"])).toBe("server");
  await writeFile(files.keyFile, next.key);
  await until(() => rig.log.filter(({ level }) => level === "info").length === 2);
  expect(await servedName(rig.httpPort, ["http/1.1"])).toBe("next server");
  expect(await servedName(rig.grpcPort, ["h2"])).toBe("next server");
  const trust = overTls(authority.certificate);
  expect((await post(rig.httpPort, { body: spans, tls: trust.http })).status).toBe(200);
});

test.each([
  ["missing", undefined],
  ["no PEM", { certificate: "x", key: "y" }],
  ["a key of another certificate", { ...server, key: authority.key }],
])("TLS: files that are %s end the start and are named", async (_, certificate) => {
  const directory = await folder();
  if (certificate !== undefined) await writeTls(directory, certificate);
  const files = { certFile: join(directory, "cert.pem"), keyFile: join(directory, "key.pem") };
  await expect(startTls(files)).rejects.toMatchObject({
    code: "bad_tls",
    message: expect.stringContaining(files.certFile) as string,
  });
});

interface Tokens {
  readonly rig: Rig;
  readonly file: string;
}

async function startTokens(text: string): Promise<Tokens> {
  const file = join(await folder(), "token");
  await writeFile(file, text);
  return { rig: await startRig(withTokens(file)), file };
}

function withToken(rig: Rig, authorization?: string): Promise<{ status: number; body: Buffer }> {
  const headers: Record<string, string> = { ...PROTOBUF };
  if (authorization !== undefined) headers["authorization"] = authorization;
  return post(rig.httpPort, { headers, body: spans });
}

test("bearer token: with it both transports accept, and the peer is authenticated", async () => {
  const { rig } = await startTokens("secret-1\n");
  expect((await withToken(rig, "Bearer secret-1")).status).toBe(200);
  expect((await withToken(rig, "bearer  secret-1")).status).toBe(200);
  const metadata = { authorization: "Bearer secret-1" };
  expect((await grpcClient(rig.grpcPort).export(spans, { metadata })).code).toBe(0);
  expect(rig.requests.map(({ peer }) => peer.authenticated)).toEqual([true, true, true]);
});

test.each([undefined, "", "Bearer", "Bearer ", "Bearer secret-2", "Basic secret-1", "secret-1"])(
  "bearer token: `%s` is 401 and UNAUTHENTICATED, not to be repeated",
  async (authorization) => {
    const { rig } = await startTokens("secret-1\n");
    const { status, body } = await withToken(rig, authorization);
    expect(status).toBe(401);
    expect(decodeStatus(body)).not.toHaveProperty("retryDelaySeconds");
    const metadata: Record<string, string> = authorization === undefined ? {} : { authorization };
    const outcome = await grpcClient(rig.grpcPort).export(spans, { metadata });
    expect(outcome).toMatchObject({ code: grpc.status.UNAUTHENTICATED, status: { code: 16 } });
    expect(rig.requests).toEqual([]);
    expect(JSON.stringify(rig.log)).not.toContain("secret");
  },
);

test("bearer token: the body of a stranger is not kept", async () => {
  const { rig } = await startTokens("secret-1");
  const headers = { ...PROTOBUF, "transfer-encoding": "chunked" };
  const { status } = await post(rig.httpPort, { headers, body: Buffer.alloc(4_000_000) });
  expect(status).toBe(401);
  expect(rig.events).toMatchObject([{ code: "unauthenticated", bytes: 0 }]);
});

test("bearer token: a new file counts without a restart; an empty one lets nobody in", async () => {
  const { rig, file } = await startTokens("old\nnew\n");
  expect((await withToken(rig, "Bearer old")).status).toBe(200);
  expect((await withToken(rig, "Bearer new")).status).toBe(200);
  await writeFile(file, "new\n");
  await until(() => rig.log.filter(({ message }) => message.startsWith("read new")).length === 2);
  expect((await withToken(rig, "Bearer old")).status).toBe(401);
  expect((await withToken(rig, "Bearer new")).status).toBe(200);
  await rm(file);
  await until(() => rig.log.filter(({ level }) => level === "error").length >= 2);
  expect((await withToken(rig, "Bearer new")).status).toBe(503);
  await writeFile(file, "new\n");
  await until(() => rig.log.filter(({ message }) => message.startsWith("read new")).length === 4);
  expect((await withToken(rig, "Bearer new")).status).toBe(200);
  await writeFile(file, "\n");
  const nobody = ({ level, message }: IngestLogEntry): boolean =>
    level === "error" && message.startsWith("nobody is let in");
  await until(() => rig.log.filter(nobody).length === 2);
  expect((await withToken(rig, "Bearer new")).status).toBe(503);
});

test("bearer token: a file that is missing or empty ends the start", async () => {
  const file = join(await folder(), "token");
  const start = (): Promise<Rig> => startRig(withTokens(file));
  await expect(start()).rejects.toMatchObject({ code: "bad_token_file" });
  await writeFile(file, "\n \n");
  await expect(start()).rejects.toMatchObject({ code: "bad_token_file" });
});

test("a token for one transport only", async () => {
  const file = join(await folder(), "token");
  await writeFile(file, "secret-1");
  const endpoint = { host: "127.0.0.1", port: 0 };
  const auth = { bearerTokenFile: file };
  const rig = await startRig({ http: { ...endpoint, auth }, grpc: endpoint });
  expect((await withToken(rig)).status).toBe(401);
  expect((await grpcClient(rig.grpcPort).export(spans)).code).toBe(0);
});
