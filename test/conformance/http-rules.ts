/** OTLP/HTTP: transport rules H1 to H24. */
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { askHttp, withRaw } from "./clients.ts";
import { JSON_TYPE, PROTOBUF, spanJson, spanProtobuf } from "./payloads.ts";
import type { Case, HttpExpected, Rule } from "./rule.ts";

const mib = 1024 * 1024;
const body = spanProtobuf("http");
const json = spanJson("http");
const success: HttpExpected = { status: 200 };
const notFound: HttpExpected = { status: 404 };

function encoded(name: string, bytes: Uint8Array): Case {
  return {
    name,
    request: { headers: { ...PROTOBUF, "content-encoding": name }, body: bytes },
    expected: success,
  };
}

/** The collector takes these; Node has no such codec, and no exporter uses one unasked. */
function notBuilt(name: string): Case {
  return {
    ...encoded(name, body),
    deliberate: {
      reason: "no exporter sends it unasked and Node has no codec; the answer names those known",
      http: { status: 415, headers: { "accept-encoding": /gzip/ } },
    },
  };
}

const testOf = (file: string, title: string, name = title): Case => ({
  name,
  test: { file, title },
});

export const httpRules: readonly Rule[] = [
  {
    id: "H1",
    level: "MUST",
    says: "each signal has its path for POST; paths can be configured",
    cases: [
      { name: "traces", request: { headers: PROTOBUF, body }, expected: success },
      { name: "logs", request: { path: "/v1/logs", headers: PROTOBUF }, expected: success },
      { name: "metrics", request: { path: "/v1/metrics", headers: PROTOBUF }, expected: success },
      {
        name: "profiles",
        request: { path: "/v1development/profiles", headers: PROTOBUF },
        expected: success,
        deliberate: {
          reason: "profiles hold no agent's actions, and their message is still in development",
          http: notFound,
        },
      },
      testOf("test/ingest/http.test.ts", "H1: paths from the configuration"),
    ],
  },
  {
    id: "H2",
    level: "quirk",
    says: "endpoints of careless configurations: a slash at the end, no path at all",
    cases: [
      {
        name: "a slash at the end",
        request: { path: "/v1/traces/", headers: PROTOBUF, body },
        expected: success,
      },
      {
        name: "no path",
        request: { path: "/", headers: PROTOBUF, body },
        expected: success,
        deliberate: {
          reason: "all signals are received, and a body does not say which it is; 404 tells so",
          http: notFound,
        },
      },
      testOf(
        "test/ingest/http.test.ts",
        "H1: paths from the configuration",
        "a base path, by configuration",
      ),
    ],
  },
  {
    id: "H3",
    level: "SHOULD",
    says: "HTTP/1.1, protobuf and JSON on one port",
    cases: [
      { name: "protobuf", request: { headers: PROTOBUF, body }, expected: success },
      { name: "JSON", request: { headers: JSON_TYPE, body: json }, expected: success },
      {
        name: "HTTP/2 without TLS",
        transport: "http",
        probe: http2Fault,
        deliberate: { reason: "allowed, not asked for: exporters of OTLP/HTTP speak HTTP/1.1" },
      },
    ],
  },
  {
    id: "H4",
    level: "collector",
    says: "media types are compared without parameters and without case",
    cases: [
      "application/json; charset=utf-8",
      "Application/JSON;charset=UTF-8",
      "APPLICATION/X-PROTOBUF",
      "application/x-protobuf ; a=b",
    ].map((type) => ({
      name: type,
      request: {
        headers: { "content-type": type },
        body: /json/i.test(type) ? json : body,
      },
      expected: success,
    })),
  },
  {
    id: "H5",
    level: "MUST",
    says: "an answer has the media type of the request, success or not",
    cases: [
      answered("protobuf, success", "application/x-protobuf", body, 200),
      answered("JSON, success", "application/json", json, 200),
      answered("protobuf, error", "application/x-protobuf", "\u000a", 400),
      answered("JSON, error", "application/json", "{", 400),
    ],
  },
  {
    id: "H6",
    level: "MUST",
    says: "success is 200 with a serialized response: no bytes of protobuf, an object in JSON",
    cases: [
      {
        name: "protobuf",
        request: { headers: PROTOBUF, body },
        expected: { status: 200, body: "empty" },
      },
      {
        name: "JSON",
        request: { headers: JSON_TYPE, body: json },
        expected: { status: 200, body: "empty JSON" },
      },
    ],
  },
  {
    id: "H7",
    level: "collector",
    says: "another method is 405, another media type 415",
    cases: [
      ...["GET", "PUT", "DELETE", "PATCH"].map((method) => ({
        name: method,
        request: { method, headers: PROTOBUF, body },
        expected: { status: 405 },
      })),
      ...["text/plain", "application/x-protobufs", "application/grpc", ""].map((type) => ({
        name: `type ${type === "" ? "absent" : type}`,
        request: { headers: type === "" ? {} : { "content-type": type }, body },
        expected: { status: 415 },
      })),
    ],
  },
  {
    id: "H8",
    level: "collector",
    says: "an unknown path is 404",
    cases: ["/v1/trace", "/v2/traces", "/v1/traces/x", "/V1/TRACES"].map((path) => ({
      name: path,
      request: { path, headers: PROTOBUF, body },
      expected: notFound,
    })),
  },
  {
    id: "H9",
    level: "MUST",
    says: "a body that cannot be decoded is 400 with a Status, never a 5xx",
    cases: [
      {
        name: "protobuf",
        request: { headers: PROTOBUF, body: body.subarray(0, -1) },
        expected: { status: 400, body: "status", headers: { "retry-after": null } },
      },
      {
        name: "JSON",
        request: { headers: JSON_TYPE, body: json.slice(0, -1) },
        expected: { status: 400, body: "JSON status", headers: { "retry-after": null } },
      },
      {
        name: "JSON said to be protobuf",
        request: { headers: PROTOBUF, body: json },
        expected: { status: 400, body: "status" },
      },
      testOf("test/ingest/http.test.ts", "H5, H9: undecodable JSON", "details: a BadRequest"),
    ],
  },
  {
    id: "H10",
    level: "MUST",
    says: "identity and gzip; the collector also takes zstd, deflate, zlib, snappy and lz4",
    cases: [
      encoded("identity", body),
      encoded("gzip", gzipSync(body)),
      encoded("GZIP", gzipSync(body)),
      encoded("zstd", zstdCompressSync(body)),
      encoded("deflate", deflateSync(body)),
      encoded("zlib", deflateSync(body)),
      notBuilt("snappy"),
      notBuilt("x-snappy-framed"),
      notBuilt("lz4"),
      {
        name: "unknown",
        request: { headers: { ...PROTOBUF, "content-encoding": "br" }, body },
        expected: { status: [400, 415] },
      },
      {
        name: "broken gzip",
        request: { headers: { ...PROTOBUF, "content-encoding": "gzip" }, body },
        expected: { status: 400, body: "status" },
      },
    ],
  },
  {
    id: "H11",
    level: "quirk",
    says: "a body in chunks, without a length",
    cases: [
      {
        name: "chunked",
        request: { headers: { ...PROTOBUF, "transfer-encoding": "chunked" }, body },
        expected: success,
      },
      { name: "a chunk that is none is 400", transport: "http", probe: badChunkFault },
    ],
  },
  {
    id: "H12",
    level: "MUST",
    says: "size is bounded before and after inflation; over it is 413",
    cases: [
      {
        name: "announced",
        transport: "http",
        probe: announcedFault,
      },
      {
        name: "inflated",
        request: {
          headers: { ...PROTOBUF, "content-encoding": "gzip" },
          body: gzipSync(Buffer.alloc(65 * mib)),
        },
        expected: { status: 413, body: "status", headers: { "retry-after": null } },
      },
      testOf("test/ingest/bounds.test.ts", "H12: 64 MiB pass, one byte more is 413"),
    ],
  },
  {
    id: "H13",
    level: "MUST",
    says: "no answer is larger than 4 MiB",
    cases: [
      {
        name: "to a body that is one long mistake",
        transport: "http",
        async probe(address) {
          const headers = JSON_TYPE;
          const answer = await askHttp(address, { headers, body: `{"${"x".repeat(5 * mib)}` });
          return answer.body.length <= 4 * mib ? undefined : `${answer.body.length} bytes`;
        },
      },
    ],
  },
  {
    id: "H14",
    level: "SHOULD",
    says: "what may pass later is 503 with a small Retry-After",
    cases: [
      testOf("test/ingest/http.test.ts", "H14: a refusal in JSON says when to repeat"),
      testOf("test/ingest/bounds.test.ts", "too many requests: 503 and UNAVAILABLE"),
    ],
  },
  {
    id: "H15",
    level: "MUST",
    says: "only 429, 502, 503 and 504 ask for a repeat: data at fault never gets one",
    cases: [
      testOf("test/ingest/http.test.ts", "H14, H15, H21: the handler's"),
      testOf("test/ingest/http.test.ts", "H15: any other failure is 503"),
    ],
  },
  {
    id: "H16",
    level: "SHOULD",
    says: "a request of nothing is a success",
    cases: [
      { name: "no bytes", request: { headers: PROTOBUF }, expected: success },
      { name: "{}", request: { headers: JSON_TYPE, body: "{}" }, expected: success },
      {
        name: "an empty list",
        request: { headers: JSON_TYPE, body: '{"resourceSpans":[]}' },
        expected: success,
      },
      {
        name: "an empty envelope",
        request: { headers: PROTOBUF, body: Buffer.from([0x0a, 0x02, 0x12, 0x00]) },
        expected: success,
      },
    ],
  },
  {
    id: "H17",
    level: "MUST",
    says: "partial success is not used for what may pass later, and is unset on full success",
    cases: [
      {
        name: "full success",
        request: { headers: JSON_TYPE, body: json },
        expected: { status: 200, body: "empty JSON" },
      },
    ],
  },
  {
    id: "H18",
    level: "MAY",
    says: "an answer may be compressed where the sender says so; plain is always right",
    cases: [
      {
        name: "plain",
        request: { headers: { ...PROTOBUF, "accept-encoding": "gzip" }, body },
        expected: { status: 200, headers: { "content-encoding": null } },
      },
    ],
  },
  {
    id: "H19",
    level: "SHOULD",
    says: "connections are kept, longer than clients reuse them",
    cases: [
      { name: "two requests on a connection", transport: "http", probe: keepAliveFault },
      testOf("test/ingest/http.test.ts", "H19: an idle connection is kept"),
    ],
  },
  {
    id: "H20",
    level: "collector",
    says: "CORS, off by default",
    cases: [
      {
        name: "preflight",
        request: {
          method: "OPTIONS",
          headers: { origin: "http://a.test", "access-control-request-method": "POST" },
        },
        expected: { status: [204, 403, 405], headers: { "access-control-allow-origin": null } },
      },
      {
        name: "no permission with an answer",
        request: { headers: { ...JSON_TYPE, origin: "http://a.test" }, body: json },
        expected: { status: 200, headers: { "access-control-allow-origin": null } },
      },
    ],
  },
  {
    id: "H21",
    level: "collector",
    says: "TLS, client certificates, tokens; credentials that do not count are never repeated",
    cases: [
      testOf("test/ingest/credentials.test.ts", "mTLS: a certificate of the authority"),
      testOf("test/ingest/credentials.test.ts", "bearer token: with it both transports accept"),
    ],
  },
  {
    id: "H22",
    level: "collector",
    says: "without a configuration only loopback is bound",
    cases: [testOf("test/service/config.test.ts", "no file at all gives the documented defaults")],
  },
  {
    id: "H23",
    level: "collector",
    says: "at the end, requests in flight are answered before connections close",
    cases: [testOf("test/ingest/drain.test.ts", "HTTP: what is in flight finishes")],
  },
  {
    id: "H24",
    level: "quirk",
    says: "an answer comes well within the 10 s that exporters wait",
    cases: [testOf("test/ingest/http.test.ts", "H24: a commit that takes too long is 503")],
  },
];

function answered(
  name: string,
  type: "application/x-protobuf" | "application/json",
  sent: Uint8Array | string,
  status: number,
): Case {
  const expected = { status, headers: { "content-type": new RegExp(`^${type}(?:;|$)`) } };
  return { name, request: { headers: { "content-type": type }, body: sent }, expected };
}

/** A length above every bound, and not one byte of body. */
function announcedFault(address: string): Promise<string | undefined> {
  const head = "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf";
  return withRaw(address, async (raw) => {
    raw.socket.write(`${head}\r\ncontent-length: ${2 ** 40}\r\n\r\n`);
    await raw.until(/^HTTP\/1\.1 \d{3}/);
    const [line] = raw.received().split("\r\n");
    return line!.startsWith("HTTP/1.1 413") ? undefined : line;
  });
}

/** In the middle of a body, where there is a request to answer. */
function badChunkFault(address: string): Promise<string | undefined> {
  const head = "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf";
  return withRaw(address, async (raw) => {
    raw.socket.write(`${head}\r\ntransfer-encoding: chunked\r\n\r\n1\r\n\n\r\nx\r\n`);
    await raw.until(/^HTTP\/1\.1 \d{3}/);
    const [line] = raw.received().split("\r\n");
    return line!.startsWith("HTTP/1.1 400") ? undefined : line;
  });
}

function keepAliveFault(address: string): Promise<string | undefined> {
  const head = "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/json";
  return withRaw(address, async (raw) => {
    raw.socket.write(`${head}\r\ncontent-length: 2\r\n\r\n{}`);
    await raw.until(/^HTTP\/1\.1 200[^]*\r\n\r\n\{/);
    raw.socket.write(`${head}\r\ncontent-length: 2\r\n\r\n{}`);
    await raw.until(/\r\n\r\n\{[^]*HTTP\/1\.1 200[^]*\r\n\r\n\{/);
    return undefined;
  });
}

/** The preface of HTTP/2 is answered with its SETTINGS. */
function http2Fault(address: string): Promise<string | undefined> {
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  return withRaw(address, async (raw) => {
    raw.socket.write(Buffer.concat([preface, settings]));
    await raw.until(/[^]{9}/);
    return raw.received().charCodeAt(3) === 4 ? undefined : "answered as HTTP/1.1";
  });
}
