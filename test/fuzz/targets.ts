/**
 * What is fuzzed, and what must hold for every input: an answer or a refusal that names a fault of
 * the sender, nothing else; what is accepted means the same to an independent decoder; and what was
 * planted is in no output.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { SIGNALS, type Signal } from "../../src/audit/otlp/schema.ts";
import { Budget } from "../../src/ingest/budget.ts";
import { checkWire } from "../../src/ingest/check-wire.ts";
import { MessageReader } from "../../src/ingest/grpc-message.ts";
import { type Encoding, inflateApart, inflateAtOnce } from "../../src/ingest/inflate.ts";
import { transcodeJson } from "../../src/ingest/json.ts";
import type { Dice } from "../ingest-json/random-otlp.ts";
import { TOP } from "../ingest-json/otlp-proto.ts";
import { agentTelemetry } from "../support/agent-load.ts";
import { encodeOtlp, encodeOtlpJson } from "../support/otlp-writer.ts";
import { attempt, checkAccepted, decodes, isFault } from "./accepted.ts";
import { inPieces, Listeners, type Transport } from "./connections.ts";
import { changeGrpc, changeHttp, grpcConversations, httpConversations } from "./conversations.ts";
import { mutate } from "./mutate.ts";
import { plantedIn } from "./planted.ts";

export interface Target {
  readonly name: string;
  readonly seeds: () => readonly Buffer[];
  /** @throws where something does not hold. */
  readonly run: (input: Buffer) => Promise<void> | void;
  /** One that makes sense to whoever reads it, with something of another at times. */
  readonly change: (input: Buffer, dice: Dice, other: Buffer) => Buffer;
  /** Work that is not counted, because others do it meanwhile. */
  readonly isShared?: boolean;
  /** Gives back what runs have opened. */
  readonly close?: () => Promise<void>;
}

/** The first byte chooses the signal. */
function signalOf(input: Buffer): Signal {
  return SIGNALS[(input[0] ?? 0) % SIGNALS.length]!;
}

function signed(signal: Signal, body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([SIGNALS.indexOf(signal)]), body]);
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

function connectionTarget(
  name: string,
  transport: Transport,
  seeds: () => readonly Buffer[],
  change: Target["change"],
): Target {
  let opened: Promise<Listeners> | undefined;
  return {
    name,
    seeds,
    change,
    isShared: true,
    async run(input) {
      await (await (opened ??= Listeners.open())).meet(transport, inPieces(input));
    },
    async close() {
      await (await opened)?.close();
      opened = undefined;
    },
  };
}

export const targets: readonly Target[] = [
  connectionTarget("http1", "http", httpConversations, changeHttp),
  connectionTarget("http2", "grpc", grpcConversations, changeGrpc),
  {
    name: "protobuf",
    change: mutate,
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
    change: mutate,
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
    change: mutate,
    seeds: () => [Buffer.from("000000000003616263", "hex"), Buffer.from("03010000000161", "hex")],
    run: runGrpc,
  },
  {
    name: "inflate",
    change: mutate,
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
