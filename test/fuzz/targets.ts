/**
 * What is fuzzed, and what must hold for every input: an answer or a refusal that names a fault of
 * the sender, nothing else; what is accepted means the same to an independent decoder; and what was
 * planted is in no output.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { prepare } from "../../src/audit/prepare.ts";
import { RequestError } from "../../src/audit/request-error.ts";
import { SIGNALS, type Signal } from "../../src/audit/otlp/schema.ts";
import { TraceMemory } from "../../src/audit/trace-memory.ts";
import { WireError } from "../../src/bytes/wire.ts";
import { Budget } from "../../src/ingest/budget.ts";
import { checkWire } from "../../src/ingest/check-wire.ts";
import { MessageReader } from "../../src/ingest/grpc-message.ts";
import { type Encoding, inflateApart, inflateAtOnce } from "../../src/ingest/inflate.ts";
import { JsonError, transcodeJson } from "../../src/ingest/json.ts";
import { Refusal } from "../../src/ingest/refusal.ts";
import { policy } from "../audit/setup.ts";
import { otlp, TOP } from "../ingest-json/otlp-proto.ts";
import { fullMessage, policyOf } from "../redact/support.ts";
import { agentTelemetry } from "../support/agent-load.ts";
import { encodeOtlp, encodeOtlpJson, type Plain } from "../support/otlp-writer.ts";

export interface Target {
  readonly name: string;
  readonly seeds: () => readonly Buffer[];
  /** @throws where something does not hold. */
  readonly run: (input: Buffer) => Promise<void> | void;
}

/** In every place for text of some seeds: where a change leaves one whole, it must be gone after us. */
const planted = ["jane.roe@example.com", "536-90-4399"];
const redacting = policy({ redaction: policyOf({}) });

/** The first byte chooses the signal. */
function signalOf(input: Buffer): Signal {
  return SIGNALS[(input[0] ?? 0) % SIGNALS.length]!;
}

function signed(signal: Signal, body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([SIGNALS.indexOf(signal)]), body]);
}

function isFault(error: unknown): boolean {
  return [WireError, JsonError, RequestError, Refusal].some((kind) => error instanceof kind);
}

/** @returns undefined where it was refused; any other error is a finding. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (isFault(error)) return undefined;
    throw error;
  }
}

function checkAccepted(signal: Signal, bytes: Uint8Array): void {
  const items = checkWire(signal, bytes);
  const isDecodable = decodes(signal, bytes);
  const request = {
    signal,
    bytes,
    peer: { address: "", authenticated: false },
    receivedUnixNano: 1_795_241_720_486_777_046n,
  };
  const batch = attempt(() => prepare(request, redacting, new TraceMemory()));
  if (batch === undefined) return;
  assert.equal(checkWire(signal, batch.forward), items, "the forward copy has other items");
  assert.equal(decodes(signal, batch.forward) || !isDecodable, true, "the forward copy is broken");
  const ids = idsOf(signal, bytes);
  for (const value of planted) {
    // Ids are bytes and never touched, so a mutated length can put text into one.
    if (ids.includes(value)) continue;
    for (const output of [batch.forward, batch.bodies]) assert.equal(around(output, value), "");
  }
}

/** Where a planted value stands alone, with what is around it; nothing where it does not. */
function around(output: Uint8Array, value: string): string {
  const text = Buffer.from(output).toString("latin1");
  // Beside more digits or letters it is part of something else.
  const found = new RegExp(
    `.{0,20}(?<![\\w.-])${RegExp.escape(value)}(?![\\w.-]).{0,20}`,
    "s",
  ).exec(text);
  return found?.[0] ?? "";
}

/** Our decoder takes text that is no UTF-8, the other one does not: it is asked about the rest. */
function decodes(signal: Signal, bytes: Uint8Array): boolean {
  try {
    otlp.lookupType(TOP[signal]).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** All ids of a request, one after another. */
function idsOf(signal: Signal, bytes: Uint8Array): string {
  const found: string[] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
    for (const [name, inner] of Object.entries(value)) {
      if (inner instanceof Uint8Array && name.endsWith("Id"))
        found.push(Buffer.from(inner).toString());
      else walk(inner);
    }
  };
  try {
    walk(otlp.lookupType(TOP[signal]).decode(bytes));
  } catch {
    // What it cannot decode may hide text in ids, so nothing can be said of it.
    return planted.join(" ");
  }
  return found.join(" ");
}

const encodings: readonly Exclude<Encoding, "identity">[] = ["gzip", "deflate", "zstd"];
const inflatedMax = 256 * 1024;

async function runInflate(input: Buffer): Promise<void> {
  const encoding = encodings[(input[0] ?? 0) % encodings.length]!;
  const bytes = input.subarray(1);
  const budget = new Budget({ requestsMax: 1, inflightBytesMax: 2 ** 20, receivingMsMin: 0 });
  const admission = budget.admit({ served: 0 }, 0);
  admission.take(bytes.length);
  const deflated = { bytes, encoding, bytesMax: inflatedMax, admission };
  const once = attempt(() => inflateAtOnce(deflated));
  const inflated = once === null ? await inflateApart(deflated).catch(refused) : once;
  assert.ok((inflated?.length ?? 0) <= inflatedMax || bytes.length === 0, "over the bound");
  if (inflated !== undefined) assert.equal(budget.bytes, inflated.length, "bytes are miscounted");
  admission.release();
  assert.deepEqual([budget.bytes, budget.requests], [0, 0], "not all is given back");
}

function refused(error: unknown): undefined {
  if (!isFault(error)) throw error;
}

function runGrpc(input: Buffer): void {
  const budget = new Budget({ requestsMax: 1, inflightBytesMax: 2 ** 20, receivingMsMin: 0 });
  const admission = budget.admit({ served: 0 }, 0);
  const reader = new MessageReader(2 ** 16, admission);
  const step = 1 + ((input[0] ?? 0) % 7);
  const sent = input.subarray(1);
  const received = attempt(() => {
    for (let at = 0; at < sent.length; at += step) reader.push(sent.subarray(at, at + step));
    return reader.finish("gzip");
  });
  admission.release();
  assert.equal(budget.bytes, 0, "not all is given back");
  if (received !== undefined) assert.deepEqual(Buffer.from(received.bytes), sent.subarray(5));
}

export const targets: readonly Target[] = [
  {
    name: "protobuf",
    seeds: () => [
      ...captures(".json").flatMap(transcoded),
      signed("traces", encodeOtlp(TOP.traces, seedTraces)),
      ...SIGNALS.map((signal) => signed(signal, encodeOtlp(TOP[signal], plantedIn(signal)))),
    ],
    run(input) {
      const signal = signalOf(input);
      const bytes = new Uint8Array(input.subarray(1));
      if (attempt(() => checkWire(signal, bytes)) !== undefined) checkAccepted(signal, bytes);
    },
  },
  {
    name: "json",
    seeds: () => [
      ...captures(".json"),
      signed("traces", Buffer.from(encodeOtlpJson(TOP.traces, seedTraces))),
      ...SIGNALS.map((signal) =>
        signed(signal, Buffer.from(encodeOtlpJson(TOP[signal], plantedIn(signal)))),
      ),
    ],
    run(input) {
      const signal = signalOf(input);
      const text = input.subarray(1);
      const bytes = attempt(() => transcodeJson(signal, text));
      if (bytes === undefined) return;
      JSON.parse(text.toString());
      assert.ok(decodes(signal, bytes), "what was written is no protobuf");
      checkAccepted(signal, bytes);
    },
  },
  {
    name: "grpc",
    seeds: () => [Buffer.from("000000000003616263", "hex"), Buffer.from("03010000000161", "hex")],
    run: runGrpc,
  },
  {
    name: "inflate",
    seeds: () => {
      const text = Buffer.from("telemetry ".repeat(200));
      const zeros = Buffer.alloc(2 * inflatedMax);
      return [gzipSync, deflateSync, zstdCompressSync].flatMap((compress, at) =>
        [text, zeros].map((plain) => Buffer.concat([Buffer.from([at]), compress(plain)])),
      );
    },
    run: runInflate,
  },
];

const seedTraces = agentTelemetry({ seed: 11, spans: 4, personalDataShare: 1 });

function plantedIn(signal: Signal): Plain {
  let at = 0;
  return fullMessage(TOP[signal], () => `for ${planted[at++ % planted.length]} now`).value;
}

function transcoded(input: Buffer): Buffer[] {
  const signal = signalOf(input);
  const bytes = attempt(() => transcodeJson(signal, input.subarray(1)));
  return bytes === undefined ? [] : [signed(signal, bytes)];
}

/** Requests of real agents. */
function captures(ending: string): Buffer[] {
  const root = join(import.meta.dirname, "../captures");
  const isSmall = (bytes: Buffer): boolean => bytes.length < 16 * 1024;
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .toSorted()
    .flatMap((path) => {
      const signal = /-(traces|logs|metrics)(?:\.otlp)?\.\w+$/.exec(path)?.[1] as
        | Signal
        | undefined;
      if (signal === undefined || !path.endsWith(ending)) return [];
      return [readFileSync(join(root, path))].filter(isSmall).map((bytes) => signed(signal, bytes));
    });
}
