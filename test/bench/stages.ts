/**
 * CPU time of each stage alone, in this process: what a span of a request of 512 costs. Stages run
 * on the same requests as the whole, one after another, after a warm-up.
 */
import { hash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AuditPolicy } from "../../src/audit/policy.ts";
import { prepare } from "../../src/audit/prepare.ts";
import type { PreparedBatch } from "../../src/audit/prepared-batch.ts";
import { compileRedaction } from "../../src/audit/redact/policy.ts";
import { redactRequest } from "../../src/audit/redact/request.ts";
import { TraceMemory } from "../../src/audit/trace-memory.ts";
import { checkWire } from "../../src/ingest/check-wire.ts";
import { transcodeJson } from "../../src/ingest/json.ts";
import { systemClock } from "../../src/ledger/clock.ts";
import { directorySource } from "../../src/ledger/directory-source.ts";
import { nodeFiles } from "../../src/ledger/files.ts";
import { openKeys, publicVkeys } from "../../src/ledger/keys.ts";
import { openLedger } from "../../src/ledger/ledger.ts";
import { parseVkey } from "../../src/ledger/note.ts";
import { verifyLedger } from "../../src/ledger/verify/verify.ts";
import { agentTelemetry } from "../support/agent-load.ts";
import { encodeOtlp, encodeOtlpJson } from "../support/otlp-writer.ts";
import { UniqueSpans } from "../support/unique-spans.ts";

const spansPerRequest = 512;
const distinctRequests = 8;

export interface Measured {
  readonly stage: string;
  /** CPU microseconds per span, one value for each run. */
  readonly cpuMicros: number[];
  readonly bytesPerSpan: number;
  /** Spans or records per second of one core are of this; `records` for the verifier. */
  readonly unit: "spans" | "records";
}

export interface StageOptions {
  readonly runs: number;
  /** Requests of 512 spans in one run. */
  readonly rounds: number;
}

const pepper = { id: "bench", key: Buffer.alloc(32, 7) };
const redaction = compileRedaction({
  packs: ["core", "secrets", "us"],
  rules: [],
  phi: [],
  pepper,
});
const noRedaction = compileRedaction({ packs: [], rules: [], phi: [], pepper });

/** Nonces are drawn from a pool, as the sidecar does. */
function policyOf(rules: typeof redaction): AuditPolicy {
  return {
    namespace: { from: ["service.namespace"], default: "default" },
    tenant: { from: ["tenant.id"], default: "default" },
    dataAccess: "all",
    redaction: rules,
    stamp: true,
    fingerprintKey: Buffer.alloc(32, 9),
    randomBytes,
  };
}

export async function measureStages(options: StageOptions): Promise<Measured[]> {
  const usual = requestsOf(1, 0.02);
  const results = [
    ...decoding(usual, options),
    ...redacting(options),
    ...mapping(usual, options),
    ...[0.05, 17].map((scale) => mappingOfScale(scale, options)),
  ];
  return [...results, ...(await committing(options))];
}

interface Requests {
  readonly bodies: readonly Uint8Array[];
  readonly bytesPerSpan: number;
}

function requestsOf(textScale: number, personalDataShare: number): Requests {
  const bodies = Array.from({ length: distinctRequests }, (_, seed) =>
    encodeOtlp("ExportTraceServiceRequest", telemetry(seed, textScale, personalDataShare)),
  );
  return { bodies, bytesPerSpan: bodies[0]!.length / spansPerRequest };
}

function telemetry(
  seed: number,
  textScale: number,
  personalDataShare: number,
): ReturnType<typeof agentTelemetry> {
  return agentTelemetry({ seed, spans: spansPerRequest, personalDataShare, textScale });
}

/** Runs `work` over all requests once to warm up, then measures. */
function measure(
  stage: string,
  requests: Requests,
  { runs, rounds }: StageOptions,
  work: (body: Uint8Array) => void,
): Measured {
  for (let round = 0; round < Math.ceil(rounds / 4); round++) {
    work(requests.bodies[round % distinctRequests]!);
  }
  const cpuMicros = Array.from({ length: runs }, () => {
    const before = process.cpuUsage();
    for (let round = 0; round < rounds; round++) work(requests.bodies[round % distinctRequests]!);
    return cpuSince(before) / (rounds * spansPerRequest);
  });
  return { stage, cpuMicros, bytesPerSpan: requests.bytesPerSpan, unit: "spans" };
}

function cpuSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function decoding(usual: Requests, options: StageOptions): Measured[] {
  const texts = Array.from({ length: distinctRequests }, (_, seed) =>
    Buffer.from(encodeOtlpJson("ExportTraceServiceRequest", telemetry(seed, 1, 0.02))),
  );
  const json = { bodies: texts, bytesPerSpan: texts[0]!.length / spansPerRequest };
  return [
    measure("decode: walk the wire", usual, options, (body) => checkWire("traces", body)),
    measure("decode: JSON to protobuf", json, options, (body) => transcodeJson("traces", body)),
  ];
}

function redacting(options: StageOptions): Measured[] {
  const shares = [
    ["redact, clean", 0],
    ["redact, 2 % personal data", 0.02],
    ["redact, 100 % personal data", 1],
  ] as const;
  return shares.map(([stage, share]) =>
    measure(stage, requestsOf(1, share), options, (body) => {
      redactRequest("traces", body, redaction);
    }),
  );
}

function mapping(usual: Requests, options: StageOptions): Measured[] {
  const prepared = prepareWith(noRedaction);
  const batches = usual.bodies.map((body) => prepared(body));
  const hashing = { bodies: usual.bodies, bytesPerSpan: usual.bytesPerSpan };
  return [
    measure("map, encode, hash, stamp", usual, options, prepared),
    measure("  of which hash", hashing, options, (body) => {
      hashBodies(batches[usual.bodies.indexOf(body)]!);
    }),
    measure("redact to stamp (2 %)", usual, options, prepareWith(redaction)),
  ];
}

function mappingOfScale(scale: number, options: StageOptions): Measured {
  const requests = requestsOf(scale, 0.02);
  const stage = `redact to stamp, ${Math.round(requests.bytesPerSpan)} B`;
  return measure(stage, requests, options, prepareWith(redaction));
}

function prepareWith(rules: typeof redaction): (body: Uint8Array) => PreparedBatch {
  const policy = policyOf(rules);
  const memory = new TraceMemory();
  return (bytes) => {
    const peer = { address: "127.0.0.1", authenticated: false };
    const request = { signal: "traces", bytes, peer, receivedUnixNano: 1n } as const;
    return prepare(request, policy, memory);
  };
}

/** The hashes of a record before it has a place: id, fingerprint, body digest. */
function hashBodies({ bodies, bodyEnds, count }: PreparedBatch): void {
  let start = 0;
  for (let index = 0; index < count; index++) {
    const body = bodies.subarray(start, bodyEnds[index]);
    hash("sha256", body.subarray(0, 80), "latin1");
    hash("sha256", body, "latin1");
    hash("sha256", body, "latin1");
    start = bodyEnds[index]!;
  }
}

/** The ledger on a real disk, with its fdatasync; then the verifier over what it wrote. */
async function committing({ runs, rounds }: StageOptions): Promise<Measured[]> {
  const folder = await mkdtemp(join(tmpdir(), "spanseal-bench-"));
  const keys = await openKeys(
    join(folder, "keys"),
    { files: nodeFiles, randomBytes },
    { create: true },
  );
  const directory = join(folder, "ledger");
  const ledger = await openLedger({
    directory,
    origin: "bench",
    keys,
    files: nodeFiles,
    clock: systemClock,
    randomBytes,
    opened: { mode: "soc2", publishTargets: [], sealIntervalMs: 600_000, softwareVersion: "bench" },
  });
  const spans = new UniqueSpans(requestsOf(1, 0.02).bodies[0]!);
  const prepared = prepareWith(redaction);
  let next = 1n;
  const batches = (count: number): PreparedBatch[] =>
    Array.from({ length: count }, () => {
      const batch = prepared(spans.stamped(next));
      next += BigInt(spansPerRequest);
      return batch;
    });
  await Promise.all(batches(rounds / 4).map((batch) => ledger.append(batch)));
  const cpuMicros: number[] = [];
  for (let run = 0; run < runs; run++) {
    const waiting = batches(rounds);
    const before = process.cpuUsage();
    // Four senders' worth at a time, as the group commit would find them.
    for (let at = 0; at < waiting.length; at += 4) {
      await Promise.all(waiting.slice(at, at + 4).map((batch) => ledger.append(batch)));
    }
    cpuMicros.push(cpuSince(before) / (rounds * spansPerRequest));
  }
  await ledger.close();
  const records = ledger.size;
  const vkeys = publicVkeys(ledger.origin, keys).map(parseVkey);
  const chainKey = (epoch: number): Uint8Array | undefined => keys.chainKey(epoch);
  const withKeys = await verifyTime(directory, { trusted: vkeys, chainKey });
  const withoutKeys = await verifyTime(directory, { trusted: vkeys });
  await rm(folder, { recursive: true });
  const bytesPerSpan = requestsOf(1, 0.02).bytesPerSpan;
  return [
    { stage: "commit: chain, write, fdatasync", cpuMicros, bytesPerSpan, unit: "spans" },
    verified("verify with MACs", withKeys / records),
    verified("verify without chain key", withoutKeys / records),
  ];
}

function verified(stage: string, cpuMicros: number): Measured {
  return { stage, cpuMicros: [cpuMicros], bytesPerSpan: 0, unit: "records" };
}

async function verifyTime(
  directory: string,
  options: Parameters<typeof verifyLedger>[1],
): Promise<number> {
  const before = process.cpuUsage();
  const { failureCount, failures } = await verifyLedger(directorySource(directory), options);
  if (failureCount > 0) throw new Error(`the benchmark's ledger: ${JSON.stringify(failures[0])}`);
  return cpuSince(before);
}
