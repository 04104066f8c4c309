/**
 * What receiving costs before the first stage: sockets, framing, inflating, transcoding and the
 * check of the wire. The receivers run in this process with a handler that does nothing, the load
 * in another, so that the CPU time of this one is that of receiving.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { type ReceiverOptions, startReceivers } from "../../src/ingest/receivers.ts";
import { cpuMicrosSince } from "./stages.ts";
import type { Measured, StageOptions } from "./stages.ts";
import { requestsOf, spansPerRequest } from "./requests.ts";

interface Way {
  readonly stage: string;
  readonly protocol: "grpc" | "http" | "json";
  readonly compression: "none" | "gzip" | "zstd";
}

const WAYS: readonly Way[] = [
  { stage: "receive gRPC", protocol: "grpc", compression: "none" },
  { stage: "receive gRPC, gzip", protocol: "grpc", compression: "gzip" },
  { stage: "receive HTTP", protocol: "http", compression: "none" },
  { stage: "receive HTTP, gzip", protocol: "http", compression: "gzip" },
  { stage: "receive HTTP, zstd", protocol: "http", compression: "zstd" },
  { stage: "receive HTTP JSON", protocol: "json", compression: "none" },
];

const REFUSED: readonly Way[] = [
  { stage: "refuse a request, gRPC", protocol: "grpc", compression: "none" },
  { stage: "refuse a request, HTTP", protocol: "http", compression: "none" },
];

export async function measureReceiving(options: StageOptions): Promise<Measured[]> {
  const { bytesPerSpan } = requestsOf("880 B", 0.02);
  const received = await measureWays(WAYS, options, {});
  const refused = await measureWays(REFUSED, options, { requestsMax: 0 });
  return [
    ...received.map(({ stage, cpuMicros }): Measured => ({
      stage,
      cpuMicros: cpuMicros.map((micros) => micros / spansPerRequest),
      bytesPerSpan,
      unit: "spans",
    })),
    ...refused.map((measured): Measured => ({ ...measured, bytesPerSpan: 0, unit: "requests" })),
  ];
}

type PerRequest = Pick<Measured, "stage" | "cpuMicros">;

async function measureWays(
  ways: readonly Way[],
  options: StageOptions,
  bounds: Pick<ReceiverOptions, "requestsMax">,
): Promise<PerRequest[]> {
  const loopback = { host: "127.0.0.1", port: 0 };
  const now = (): bigint => BigInt(Date.now()) * 1_000_000n;
  const receivers = await startReceivers({ grpc: loopback, http: loopback, now, ...bounds }, () =>
    Promise.resolve(),
  );
  const measured: PerRequest[] = [];
  for (const way of ways) {
    const { port } = receivers[way.protocol === "grpc" ? "grpc" : "http"]!;
    await send(way, port, options.warmUpRounds);
    const cpuMicros: number[] = [];
    for (let run = 0; run < options.runs; run++) {
      const before = process.cpuUsage();
      await send(way, port, options.rounds);
      cpuMicros.push(cpuMicrosSince(before) / options.rounds);
    }
    measured.push({ stage: way.stage, cpuMicros });
  }
  await receivers.close(0);
  return measured;
}

async function send({ protocol, compression }: Way, port: number, requests: number): Promise<void> {
  const values = { protocol, compression, port, spans: requests * spansPerRequest };
  const parameters = Object.entries(values).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const child = spawn(process.execPath, [join(import.meta.dirname, "load.ts"), ...parameters], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`the load ended with ${code}`);
}
