/** OTLP/HTTP, rule by rule; the numbers are those of the conformance list in the test names. */
import { once } from "node:events";
import { Agent, request as httpRequest } from "node:http";
import { connect } from "node:net";
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { RequestError } from "../../src/audit/request-error.ts";
import { LedgerError } from "../../src/ledger/ledger-error.ts";
import { Refusal, type RefusalCode } from "../../src/ingest/refusal.ts";
import { agentRequest, agentTelemetry } from "../support/agent-load.ts";
import { encodeOtlpJson } from "../support/otlp-writer.ts";
import { decodeStatus } from "../support/google-status.ts";
import { JSON_TYPE, NOW, post, PROTOBUF, startRig, until } from "./receiver.ts";

const LOAD = { seed: 7, spans: 16, personalDataShare: 0.2 };
const spans = agentRequest(LOAD);
const spansJson = encodeOtlpJson("ExportTraceServiceRequest", agentTelemetry(LOAD));

describe("requests", () => {
  test.each(["traces", "logs", "metrics"] as const)("H1: POST /v1/%s", async (signal) => {
    const rig = await startRig();
    const body = signal === "traces" ? spans : Buffer.from([0x0a, 0]);
    const { status } = await post(rig.httpPort, { path: `/v1/${signal}`, body });
    expect(status).toBe(200);
    expect(rig.requests).toEqual([
      {
        signal,
        bytes: Buffer.from(body),
        peer: { address: "127.0.0.1", authenticated: false },
        receivedUnixNano: NOW,
      },
    ]);
    const items = signal === "traces" ? 16 : 0;
    const event = { signal, transport: "http", code: "ok", bytes: body.length, items };
    expect(rig.events).toEqual([event]);
  });

  test("H1: paths from the configuration, with and without the first slash", async () => {
    const paths = { traces: "/otlp/spans", logs: "otlp/logs" };
    const rig = await startRig({ http: { host: "127.0.0.1", port: 0, paths } });
    const statuses = [];
    for (const path of ["/otlp/spans", "/otlp/logs", "/v1/metrics", "/v1/traces"]) {
      statuses.push((await post(rig.httpPort, { path })).status);
    }
    expect(statuses).toEqual([200, 200, 200, 404]);
  });

  test("H3: protobuf and JSON on one port give the same request", async () => {
    const rig = await startRig();
    await post(rig.httpPort, { body: spans });
    await post(rig.httpPort, { headers: JSON_TYPE, body: spansJson });
    const [protobuf, json] = rig.requests;
    expect(Buffer.from(json!.bytes).equals(protobuf!.bytes)).toBe(true);
  });

  test.each([
    ["application/json; charset=utf-8", spansJson],
    ["Application/JSON;charset=UTF-8", spansJson],
    ["APPLICATION/X-PROTOBUF", spans],
    ["application/x-protobuf ; foo=bar", spans],
  ])("H4: content type %s", async (contentType, body) => {
    const rig = await startRig();
    const { status } = await post(rig.httpPort, { headers: { "content-type": contentType }, body });
    expect(status).toBe(200);
    expect(rig.requests).toHaveLength(1);
  });

  test("H6: success is zero bytes of protobuf or `{}`", async () => {
    const rig = await startRig();
    const protobuf = await post(rig.httpPort, { body: spans });
    expect(protobuf.headers["content-type"]).toBe("application/x-protobuf");
    expect(protobuf.headers["content-length"]).toBe("0");
    const json = await post(rig.httpPort, { headers: JSON_TYPE, body: spansJson });
    expect(json.headers["content-type"]).toBe("application/json");
    expect(json.body.toString()).toBe("{}");
  });

  test.each([
    ["gzip", gzipSync(spans)],
    ["GZIP", gzipSync(spans)],
    ["x-gzip", gzipSync(spans)],
    ["deflate", deflateSync(spans)],
    ["zstd", zstdCompressSync(spans)],
    ["identity", spans],
    ["", spans],
    ["gzip, identity", gzipSync(spans)],
  ])("H10: content encoding `%s`", async (encoding, body) => {
    const rig = await startRig();
    const headers = { ...PROTOBUF, "content-encoding": encoding };
    expect((await post(rig.httpPort, { headers, body })).status).toBe(200);
    expect(rig.requests[0]!.bytes).toEqual(Buffer.from(spans));
    expect(rig.events[0]).toMatchObject({ bytes: body.length, items: 16 });
  });

  test("H10: gzip of several members, as streaming senders write", async () => {
    const rig = await startRig();
    const body = Buffer.concat([gzipSync(spans.subarray(0, 99)), gzipSync(spans.subarray(99))]);
    const headers = { ...PROTOBUF, "content-encoding": "gzip" };
    expect((await post(rig.httpPort, { headers, body })).status).toBe(200);
    expect(rig.requests[0]!.bytes).toEqual(Buffer.from(spans));
  });

  test("H11: chunked, without a length", async () => {
    const rig = await startRig();
    const headers = { ...PROTOBUF, "transfer-encoding": "chunked" };
    const { status } = await new Promise<{ status: number }>((resolve, reject) => {
      const target = { port: rig.httpPort, path: "/v1/traces", method: "POST", headers };
      const request = httpRequest(target, (response) => {
        response.resume();
        resolve({ status: response.statusCode! });
      });
      request.on("error", reject);
      request.write(spans.subarray(0, 100));
      setImmediate(() => {
        request.write(spans.subarray(100, 5000));
        request.end(spans.subarray(5000));
      });
    });
    expect(status).toBe(200);
    expect(rig.requests[0]!.bytes).toEqual(Buffer.from(spans));
  });

  test.each([
    ["no body", PROTOBUF, "", 0],
    ["an empty JSON object", JSON_TYPE, "{}", 0],
    ["an empty JSON list", JSON_TYPE, '{"resourceSpans":[]}', 0],
    ["no body, said to be gzip", { ...PROTOBUF, "content-encoding": "gzip" }, "", 0],
    ["an empty envelope", PROTOBUF, Buffer.from([0x0a, 0x02, 0x12, 0x00]), 1],
    ["an empty JSON envelope", JSON_TYPE, '{"resourceSpans":[{"scopeSpans":[{}]}]}', 1],
  ])("H16: %s is a success", async (_, headers, body, handed) => {
    const rig = await startRig();
    expect((await post(rig.httpPort, { headers, body })).status).toBe(200);
    expect(rig.requests).toHaveLength(handed);
  });

  test("H19: an idle connection is kept longer than headers may take", async () => {
    const rig = await startRig({ headerTimeMsMax: 200 });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const first = await post(rig.httpPort, { agent, body: spans });
    expect(first.headers["keep-alive"]).toBe("timeout=75");
    const ports = new Set<number>();
    agent.on("free", (socket: { localPort: number }) => ports.add(socket.localPort));
    await new Promise((resolve) => setTimeout(resolve, 900));
    expect((await post(rig.httpPort, { agent, body: spans })).status).toBe(200);
    await until(() => ports.size > 0);
    expect(ports.size).toBe(1);
  });

  test("a query does not change the path", async () => {
    const rig = await startRig();
    expect((await post(rig.httpPort, { path: "/v1/traces?x=1", body: spans })).status).toBe(200);
  });

  test("a sender that waits for 100 Continue gets it", async () => {
    const rig = await startRig();
    const headers = { ...PROTOBUF, expect: "100-continue", "content-length": `${spans.length}` };
    const target = { port: rig.httpPort, path: "/v1/traces", method: "POST", headers };
    const status = await new Promise((resolve, reject) => {
      const request = httpRequest(target, (response) => resolve(response.statusCode));
      request.on("error", reject);
      request.on("continue", () => request.end(spans));
      request.flushHeaders();
    });
    expect(status).toBe(200);
  });
});

describe("refusals", () => {
  test("H5, H9: undecodable protobuf is 400 with a Status in protobuf", async () => {
    const rig = await startRig();
    const response = await post(rig.httpPort, { body: Buffer.from([0x0a, 0x7f, 0x01]) });
    expect(response.status).toBe(400);
    expect(response.headers["content-type"]).toBe("application/x-protobuf");
    expect(response.headers).not.toHaveProperty("retry-after");
    const message = "truncated field at byte 0";
    const violations = [{ field: "malformed", description: message }];
    expect(decodeStatus(response.body)).toEqual({ code: 3, message, violations });
    expect(rig.requests).toEqual([]);
    expect(rig.events).toMatchObject([{ code: "malformed" }]);
  });

  test("H5, H9: undecodable JSON is 400 with a Status in JSON", async () => {
    const rig = await startRig();
    const body = '{"resourceSpans": 1}';
    const response = await post(rig.httpPort, { headers: JSON_TYPE, body });
    expect(response.status).toBe(400);
    expect(response.headers["content-type"]).toBe("application/json");
    const status = JSON.parse(response.body.toString()) as { message: string };
    expect(status).toEqual({
      code: 3,
      message: expect.stringMatching(/at byte \d+/) as string,
      details: [
        {
          "@type": "type.googleapis.com/google.rpc.BadRequest",
          fieldViolations: [{ field: "malformed", description: status.message }],
        },
      ],
    });
  });

  test("H14: a refusal in JSON says when to repeat", async () => {
    const rig = await startRig();
    rig.handle = () => Promise.reject(new Refusal("unavailable", "because"));
    const response = await post(rig.httpPort, { headers: JSON_TYPE, body: spansJson });
    expect(JSON.parse(response.body.toString())).toEqual({
      code: 14,
      message: "because",
      details: [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "1s" }],
    });
  });

  test.each(["GET", "PUT", "DELETE", "OPTIONS"])("H7: %s is 405", async (method) => {
    const rig = await startRig();
    const { status, headers, body } = await post(rig.httpPort, { method });
    expect(status).toBe(405);
    expect(headers["allow"]).toBe("POST");
    expect(decodeStatus(body).code).toBe(12);
  });

  test("H7: HEAD is 405", async () => {
    const rig = await startRig();
    expect((await post(rig.httpPort, { method: "HEAD" })).status).toBe(405);
  });

  test.each(["text/plain", "application/grpc", "application/x-protobufs", ""])(
    "H7: content type `%s` is 415, answered in JSON",
    async (contentType) => {
      const rig = await startRig();
      const response = await post(rig.httpPort, {
        headers: contentType === "" ? {} : { "content-type": contentType },
        body: spans,
      });
      expect(response.status).toBe(415);
      expect(response.headers["content-type"]).toBe("application/json");
      expect(JSON.parse(response.body.toString())).toMatchObject({ code: 12 });
    },
  );

  test.each(["/", "/v1/trace", "/v1/traces//", "/v1/profiles", "/v1development/profiles"])(
    "H8: %s is 404",
    async (path) => {
      const rig = await startRig();
      expect((await post(rig.httpPort, { path, body: spans })).status).toBe(404);
      expect(rig.events).toMatchObject([{ signal: "unknown", code: "not_found" }]);
    },
  );

  test.each(["br", "snappy", "lz4", "gzip, gzip", "constructor"])(
    "H10: content encoding %s is 415 and names those that are known",
    async (encoding) => {
      const rig = await startRig();
      const headers = { ...PROTOBUF, "content-encoding": encoding };
      const response = await post(rig.httpPort, { headers, body: spans });
      expect(response.status).toBe(415);
      expect(response.headers["accept-encoding"]).toBe("gzip, deflate, zstd");
    },
  );

  test.each([
    ["gzip", Buffer.from("not gzip")],
    ["gzip", gzipSync(spans).subarray(0, -9)],
    ["gzip", Buffer.concat([gzipSync(spans), Buffer.from("rest")])],
    ["gzip", corrupt(gzipSync(spans))],
    ["deflate", gzipSync(spans)],
    ["zstd", zstdCompressSync(spans).subarray(0, -3)],
    ["zstd", spans],
  ])("H10: broken %s is 400", async (encoding, body) => {
    const rig = await startRig();
    const headers = { ...PROTOBUF, "content-encoding": encoding };
    const response = await post(rig.httpPort, { headers, body });
    expect(response.status).toBe(400);
    expect(decodeStatus(response.body).message).toBe(`the body is not valid ${encoding}`);
    expect(rig.events).toMatchObject([{ code: "bad_compression" }]);
  });

  test.each([
    ["unavailable", 503, 14],
    ["forbidden", 403, 7],
    ["unauthenticated", 401, 16],
    ["too_large", 413, 8],
    ["bad_name", 400, 3],
  ] as [RefusalCode, number, number][])(
    "H14, H15, H21: the handler's %s is %d",
    async (code, http, grpc) => {
      const rig = await startRig();
      rig.handle = () => Promise.reject(new Refusal(code, "because"));
      const response = await post(rig.httpPort, { body: spans });
      expect(response.status).toBe(http);
      expect(response.headers["retry-after"]).toBe(http === 503 ? "1" : undefined);
      const status = decodeStatus(response.body);
      expect(status).toMatchObject({ code: grpc, message: "because" });
      expect(status.retryDelaySeconds).toBe(http === 503 ? 1 : undefined);
    },
  );

  test("H15: the sender's fault that the audit found is 400", async () => {
    const rig = await startRig();
    rig.handle = () => Promise.reject(new RequestError("bad_name", "tenant.id is empty"));
    expect((await post(rig.httpPort, { body: spans })).status).toBe(400);
    expect(rig.events).toMatchObject([{ code: "bad_name", items: 16 }]);
  });

  test("H15: what no commit can hold is 413, another state of the ledger 503", async () => {
    const rig = await startRig();
    rig.handle = () => Promise.reject(new LedgerError("too_large", "lower the batch size"));
    expect((await post(rig.httpPort, { body: spans })).status).toBe(413);
    for (const code of ["unavailable", "stopped", "too_many_chains"] as const) {
      rig.handle = () => Promise.reject(new LedgerError(code, "12345 chains"));
      const { status, body } = await post(rig.httpPort, { body: spans });
      expect(status).toBe(503);
      expect(decodeStatus(body).message).not.toContain("12345");
    }
  });

  test("H15: any other failure is 503, with the cause in the log only", async () => {
    const rig = await startRig();
    const cause = new Error("ENOSPC: /var/secret/path");
    rig.handle = () => {
      throw cause;
    };
    const response = await post(rig.httpPort, { body: spans });
    expect(response.status).toBe(503);
    expect(response.headers["retry-after"]).toBe("1");
    expect(response.body.toString("latin1")).not.toContain("ENOSPC");
    expect(rig.log).toContainEqual(
      expect.objectContaining({ level: "error", code: "unavailable", cause }),
    );
  });

  test("H24: a commit that takes too long is 503 before the exporter gives up", async () => {
    const rig = await startRig({ answerTimeMsMax: 50 });
    const { promise, resolve } = Promise.withResolvers<void>();
    rig.handle = () => promise;
    expect((await post(rig.httpPort, { body: spans })).status).toBe(503);
    expect(rig.events).toMatchObject([{ code: "answer_timeout" }]);
    // The request still holds its memory.
    expect(rig.receivers.inFlight()).toEqual({ requests: 1, bytes: spans.length });
    resolve();
    await until(() => rig.receivers.inFlight().requests === 0);
  });

  test("bytes that are no HTTP are 400, and nothing of them is logged", async () => {
    const rig = await startRig();
    const socket = connect(rig.httpPort, "127.0.0.1");
    socket.end("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nsecret-token");
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.1 400 /);
    expect(JSON.stringify(rig.log)).not.toContain("secret-token");
  });

  test.each([
    ["a size that is none", "3\r\nabc\r\nsecret-token\r\n"],
    ["a size with a sign", "-3\r\nabc\r\n"],
    ["a size above all numbers", "fffffffffffffffff\r\nabc\r\n"],
    ["more than its size", "3\r\nabcsecret-token\r\n0\r\n\r\n"],
    ["no size", "\r\n"],
    ["an extension without an end", `3;${"secret-token".repeat(2_000)}`],
  ])("H11: a chunk with %s is 400, in the media type of the request", async (_, chunks) => {
    const rig = await startRig();
    const socket = connect(rig.httpPort, "127.0.0.1");
    const head = "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\n";
    socket.write(`${head}transfer-encoding: chunked\r\n\r\n`);
    socket.write(chunks);
    const [first] = (await once(socket, "data")) as [Buffer];
    // What comes after it changes nothing.
    socket.end("0\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n");
    const rest: Buffer[] = [first];
    for await (const chunk of socket) rest.push(chunk as Buffer);
    const text = Buffer.concat(rest).toString("latin1");
    expect(text).toMatch(/^HTTP\/1\.1 400 [^]*content-type: application\/x-protobuf\r\n/);
    expect(text.match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
    expect(rig.events).toMatchObject([{ signal: "traces", code: "malformed" }]);
    expect(JSON.stringify(rig.log)).not.toContain("secret-token");
    expect(rig.receivers.inFlight()).toEqual({ requests: 0, bytes: 0 });
  });
});

function corrupt(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  changed[changed.length >> 1]! ^= 0xff;
  return changed;
}
