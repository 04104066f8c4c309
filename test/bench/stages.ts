/**
 * CPU time of each stage alone, in this process: what a span of a request of 512 costs. Stages run
 * on the same requests as the whole, one after another, after a warm-up.
 */
import { hash } from "node:crypto";
import type { PreparedBatch } from "../../src/audit/prepared-batch.ts";
import { redactRequest } from "../../src/audit/redact/request.ts";
import { pool } from "../../src/bytes/pool.ts";
import { checkWire } from "../../src/ingest/check-wire.ts";
import { transcodeJson } from "../../src/ingest/json.ts";
import { encodeOtlpJson } from "../support/otlp-writer.ts";
import {
  asRequests,
  distinctRequests,
  noRedaction,
  prepareWith,
  redaction,
  requestsOf,
  spansPerRequest,
  telemetryOf,
} from "./requests.ts";
import type { Requests } from "./requests.ts";
import type { Size } from "./sizes.ts";

export interface Measured {
  readonly stage: string;
  /** CPU microseconds per span or record, one value for each run. */
  readonly cpuMicros: readonly number[];
  /** Bytes of a span as it came; 0 where a rate in bytes says nothing. */
  readonly bytesPerSpan: number;
  /** What is counted; `records` for the verifier. */
  readonly unit: "spans" | "records" | "requests";
}

export interface StageOptions {
  readonly runs: number;
  /** Requests of 512 spans in one run. */
  readonly rounds: number;
  /** Requests before the first run: it takes some hundred until all code is compiled. */
  readonly warmUpRounds: number;
  /** Of a span, for the main stages. */
  readonly sizes: readonly Size[];
}

export function measureStages(options: StageOptions): Measured[] {
  return [...decoding(options), ...redacting(options), ...mapping(options), ...sizes(options)];
}

function measure(
  stage: string,
  { bodies, bytesPerSpan }: Requests,
  { runs, rounds, warmUpRounds }: StageOptions,
  work: (body: Uint8Array) => void,
): Measured {
  const run = (count: number): void => {
    for (let round = 0; round < count; round++) work(bodies[round % distinctRequests]!);
  };
  run(warmUpRounds);
  const cpuMicros = Array.from({ length: runs }, () => {
    const before = process.cpuUsage();
    run(rounds);
    return cpuMicrosSince(before) / (rounds * spansPerRequest);
  });
  return { stage, cpuMicros, bytesPerSpan, unit: "spans" };
}

export function cpuMicrosSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function decoding(options: StageOptions): Measured[] {
  const name = "ExportTraceServiceRequest";
  const texts = telemetryOf("880 B", 0.02).map((one) => Buffer.from(encodeOtlpJson(name, one)));
  return [
    measure("decode: walk the wire", requestsOf("880 B", 0.02), options, (body) => {
      checkWire("traces", body);
    }),
    measure("decode: JSON to protobuf", asRequests(texts), options, (body) => {
      transcodeJson("traces", body);
    }),
  ];
}

function redacting(options: StageOptions): Measured[] {
  const shares = [
    ["redact, clean", 0],
    ["redact, 2 % personal data", 0.02],
    ["redact, 100 % personal data", 1],
  ] as const;
  return shares.map(([stage, share]) =>
    measure(stage, requestsOf("880 B", share), options, (body) => {
      redactRequest("traces", body, redaction);
    }),
  );
}

function mapping(options: StageOptions): Measured[] {
  const usual = requestsOf("880 B", 0.02);
  const prepared = prepareWith(noRedaction);
  const batches = new Map(usual.bodies.map((body) => [body, prepared(body)]));
  return [
    measure("map, encode, hash, stamp", usual, options, released(prepared)),
    measure("  of which hash", usual, options, (body) => hashBodies(batches.get(body)!)),
  ];
}

function sizes(options: StageOptions): Measured[] {
  return options.sizes.map((size) =>
    measure(
      `redact to stamp, 2 %, ${size}`,
      requestsOf(size, 0.02),
      options,
      released(prepareWith(redaction)),
    ),
  );
}

/** As a sidecar does once the bodies stand in the log. */
function released(prepared: (body: Uint8Array) => PreparedBatch): (body: Uint8Array) => void {
  return (body) => pool.release(prepared(body).bodies);
}

/** The hashes of whole bodies. */
function hashBodies({ bodies, bodyEnds, count }: PreparedBatch): void {
  let start = 0;
  for (let index = 0; index < count; index++) {
    const end = bodyEnds[index]!;
    hash("sha256", bodies.subarray(start, end), "latin1");
    start = end;
  }
}
