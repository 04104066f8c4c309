/** The operator's sink in both protocols, as one thing: what every scenario about it is run against. */
import * as grpc from "@grpc/grpc-js";
import { onTestFinished } from "vitest";
import { startGrpcSink } from "../forward/grpc-sink-server.ts";
import type { GrpcBehaviour } from "../forward/grpc-sink-server.ts";
import { startHttpSink } from "../forward/http-sink-server.ts";
import type { Behaviour } from "../forward/http-sink-server.ts";
import type { Certificate } from "../ingest/certificate.ts";
import type { Plain } from "../support/otlp-writer.ts";
import { labelsIn } from "./requests.ts";

/** One answer, in the words of each protocol. */
export interface Answer {
  readonly http: Behaviour;
  readonly grpc: GrpcBehaviour;
}

export interface Sink {
  readonly port: number;
  /** Requests that it took, whether or not it said so. */
  taken(): number;
  /** Labels of what it took, in the order of arrival, repeats included. */
  labels(): string[];
  /** Requests that arrived at all. */
  arrived(): number;
  /** The next requests get these answers, one each. */
  script(answers: readonly Answer[]): void;
  /** All after that get this one. Undefined: they are taken. */
  answer(answer: Answer | undefined): void;
  close(): Promise<void>;
}

export interface ServerTls extends Certificate {
  /** Authority of the client certificates that are asked for. */
  readonly clientCa?: string;
}

export interface SinkOptions {
  readonly port?: number;
  readonly tls?: ServerTls;
}

export interface SinkKind {
  readonly name: "HTTP" | "gRPC";
  /** Closed with the test at last. */
  open(options?: SinkOptions): Promise<Sink>;
  /** The configuration that forwards to `authority`, `host:port`. */
  exporters(authority: string, more?: Plain): Plain;
  /** How a sink says that it takes a request, with this message as its answer. */
  taking(response: Uint8Array): Answer;
}

const accepted = { status: 200, headers: { "content-type": "application/x-protobuf" } };

export const sinkKinds: readonly SinkKind[] = [
  {
    name: "HTTP",
    open: openHttp,
    exporters: (authority, { tls, ...more } = {}) => ({
      otlp_http: {
        endpoint: `${tls === undefined ? "http" : "https"}://${authority}`,
        ...(tls === undefined ? {} : { tls }),
        ...more,
      },
    }),
    taking,
  },
  {
    name: "gRPC",
    open: openGrpc,
    exporters: (authority, { tls, ...more } = {}) => ({
      otlp_grpc: { endpoint: authority, tls: tls ?? { insecure: true }, ...more },
    }),
    taking,
  },
];

function taking(response: Uint8Array): Answer {
  return {
    http: { ...accepted, body: response },
    grpc: { code: grpc.status.OK, response },
  };
}

async function openHttp({ port, tls }: SinkOptions = {}): Promise<Sink> {
  const server = await startHttpSink({
    ...(port === undefined ? {} : { port }),
    ...(tls === undefined
      ? {}
      : {
          tls: {
            cert: tls.certificate,
            key: tls.key,
            ca: tls.clientCa,
            requestCert: tls.clientCa !== undefined,
          },
        }),
  });
  return closedAtLast({
    port: server.port,
    taken: () => server.taken.length,
    labels: labelReader(() => server.taken.map(({ bytes }) => bytes)),
    arrived: () => server.arrived,
    script: (answers) => void (server.script = answers.map(({ http }) => http)),
    answer: (answer) => void (server.otherwise = answer?.http ?? accepted),
    close: () => server.close(),
  });
}

async function openGrpc({ port, tls }: SinkOptions = {}): Promise<Sink> {
  const server = await startGrpcSink(credentialsOf(tls), port);
  const taken: GrpcBehaviour = { code: grpc.status.OK, response: Buffer.alloc(0) };
  return closedAtLast({
    port: Number(server.address.split(":")[1]),
    taken: () => server.requests.length,
    labels: labelReader(() => server.requests),
    arrived: () => server.arrived,
    script: (answers) => void (server.script = answers.map((answer) => answer.grpc)),
    answer: (answer) => void (server.otherwise = answer?.grpc ?? taken),
    close() {
      server.close();
      return Promise.resolve();
    },
  });
}

/** Looks into each request once, however often it is asked. */
function labelReader(requests: () => readonly Uint8Array[]): () => string[] {
  const labels: string[] = [];
  let read = 0;
  return () => {
    const all = requests();
    for (; read < all.length; read++) labels.push(...labelsIn(all[read]!));
    return labels;
  };
}

function credentialsOf(tls: ServerTls | undefined): grpc.ServerCredentials {
  if (tls === undefined) return grpc.ServerCredentials.createInsecure();
  const { certificate, key, clientCa } = tls;
  const ca = clientCa === undefined ? null : Buffer.from(clientCa);
  const pair = { cert_chain: Buffer.from(certificate), private_key: Buffer.from(key) };
  return grpc.ServerCredentials.createSsl(ca, [pair], clientCa !== undefined);
}

function closedAtLast(sink: Sink): Sink {
  onTestFinished(() => sink.close());
  return sink;
}
