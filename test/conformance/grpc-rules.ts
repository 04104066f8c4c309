/** OTLP/gRPC: transport rules G1 to G10. */
import { gzipSync } from "node:zlib";
import { callOn, framed, type GrpcCall, openHttp2, services } from "./clients.ts";
import { spanProtobuf } from "./payloads.ts";
import { type Case, grpcFault, type GrpcExpected, type Rule } from "./rule.ts";

const mib = 1024 * 1024;
const message = spanProtobuf("grpc");
const ok: GrpcExpected = { code: 0 };
const unimplemented: GrpcExpected = { code: 12 };

function called(
  name: string,
  body: Uint8Array,
  expected: GrpcExpected,
  more: Partial<GrpcCall> = {},
): Case {
  return { name, call: { body, ...more }, expected };
}

const testOf = (file: string, title: string): Case => ({ name: title, test: { file, title } });

export const grpcRules: readonly Rule[] = [
  {
    id: "G1",
    level: "MUST",
    says: "the unary method Export of each signal's service",
    cases: [
      called("traces", framed(message), ok),
      called("logs", framed(new Uint8Array()), ok, { path: services.logs }),
      called("metrics", framed(new Uint8Array()), ok, { path: services.metrics }),
      called("an unknown method", framed(message), unimplemented, {
        path: services.traces.replace("Export", "Import"),
      }),
      {
        ...called("profiles", framed(new Uint8Array()), ok, {
          path: "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
        }),
        deliberate: {
          reason: "profiles hold no agent's actions, and their message is still in development",
          grpc: unimplemented,
        },
      },
    ],
  },
  {
    id: "G2",
    level: "MUST",
    says: "identity and gzip; another encoding is UNIMPLEMENTED and names those that are known",
    cases: [
      called("gzip", framed(gzipSync(message), 1), ok, { headers: { "grpc-encoding": "gzip" } }),
      called("named, not used", framed(message), ok, { headers: { "grpc-encoding": "gzip" } }),
      ...["snappy", "zstd"].map((name): Case => ({
        ...called(name, framed(message, 1), ok, { headers: { "grpc-encoding": name } }),
        deliberate: {
          reason: "extras of the collector; clients that are told fall back to gzip or none",
          grpc: { code: 12, acceptEncoding: /gzip/ },
        },
      })),
      called(
        "unknown",
        framed(message, 1),
        { code: 12, acceptEncoding: /gzip/ },
        { headers: { "grpc-encoding": "made-up" } },
      ),
      called("compressed, without saying how", framed(gzipSync(message), 1), { code: [3, 12, 13] }),
    ],
  },
  {
    id: "G3",
    level: "MUST",
    says: "over the bound of size is RESOURCE_EXHAUSTED without RetryInfo",
    cases: [
      called("announced", framed(message, 0, 0xffff_fff0), { code: 8, retryInfo: false }),
      called(
        "inflated",
        framed(gzipSync(Buffer.alloc(65 * mib)), 1),
        { code: 8, retryInfo: false },
        { headers: { "grpc-encoding": "gzip" } },
      ),
    ],
  },
  {
    id: "G4",
    level: "SHOULD",
    says: "what may pass later is UNAVAILABLE, with RetryInfo",
    cases: [testOf("test/ingest/bounds.test.ts", "too many requests: 503 and UNAVAILABLE")],
  },
  {
    id: "G5",
    level: "SHOULD",
    says: "data at fault is INVALID_ARGUMENT",
    cases: [
      called("no protobuf", framed(message.subarray(0, -1)), { code: 3, retryInfo: false }),
      called(
        "broken gzip",
        framed(message, 1),
        { code: [3, 13] },
        { headers: { "grpc-encoding": "gzip" } },
      ),
      testOf("test/ingest/grpc.test.ts", "G5: %s is INVALID_ARGUMENT with BadRequest"),
    ],
  },
  {
    id: "G6",
    level: "MUST",
    says: "clients repeat a fixed set of codes: data at fault has none of them",
    cases: [testOf("test/ingest/grpc.test.ts", "G4, G6: the handler's")],
  },
  {
    id: "G7",
    level: "quirk",
    says: "pings are answered, also every few seconds",
    cases: [{ name: "twenty pings", transport: "grpc", probe: pingFault }],
  },
  {
    id: "G8",
    level: "quirk",
    says: "at least 100 concurrent streams, windows above 64 KiB",
    cases: [{ name: "SETTINGS and WINDOW_UPDATE", transport: "grpc", probe: settingsFault }],
  },
  {
    id: "G9",
    level: "SHOULD",
    says: "errors are trailers only, deadlines count, unknown metadata does not",
    cases: [
      called("unknown metadata", framed(message), ok, { headers: { "x-unknown": "1" } }),
      called("a deadline", framed(message), ok, { headers: { "grpc-timeout": "10S" } }),
      { name: "trailers only", transport: "grpc", probe: trailersFault },
      testOf("test/ingest/grpc.test.ts", "G9: grpc-message is percent-encoded"),
      testOf("test/ingest/grpc.test.ts", "G9: the deadline is honoured while the handler works"),
    ],
  },
  {
    id: "G10",
    level: "MAY",
    says: "grpc.health.v1",
    cases: [
      {
        ...called("Check", framed(new Uint8Array()), ok, { path: "/grpc.health.v1.Health/Check" }),
        deliberate: {
          reason: "health and readiness have a port of their own, which may be open to others",
          grpc: unimplemented,
        },
      },
    ],
  },
];

async function trailersFault(address: string): Promise<string | undefined> {
  const session = openHttp2(address);
  try {
    const answer = await callOn(session, { path: "/a.B/C", body: framed(message) });
    if (answer.httpStatus !== 200 || !answer.trailersOnly) return "not trailers only";
    return grpcFault(answer, unimplemented);
  } finally {
    session.destroy();
  }
}

async function pingFault(address: string): Promise<string | undefined> {
  const session = openHttp2(address);
  try {
    await new Promise<void>((resolve, reject) => {
      session
        .once("connect", () => resolve())
        .once("close", () => reject(new Error("no connection")));
    });
    for (let count = 0; count < 20; count++) {
      await new Promise<void>((resolve, reject) => {
        session.ping((error) => (error === null ? resolve() : reject(error)));
      });
    }
    return grpcFault(await callOn(session, { body: framed(message) }), ok);
  } finally {
    session.destroy();
  }
}

/** Reads the receiver's SETTINGS, and waits for the raise of the connection's window. */
async function settingsFault(address: string): Promise<string | undefined> {
  const session = openHttp2(address);
  try {
    const settings = await new Promise<{
      maxConcurrentStreams?: number;
      initialWindowSize?: number;
    }>((resolve) => session.once("remoteSettings", resolve));
    const streams = settings.maxConcurrentStreams ?? 2 ** 31;
    if (streams < 100) return `${streams} streams`;
    const window = settings.initialWindowSize ?? 65_535;
    if (window <= 65_535) return `a window of ${window} bytes`;
    await callOn(session, { body: framed(message) });
    const connection = session.state.remoteWindowSize ?? 0;
    return connection > 65_535 ? undefined : `a connection window of ${connection} bytes`;
  } finally {
    session.destroy();
  }
}
