/** What the whole is measured with: a usual row, then one thing varied at a time. */
import type { Scenario } from "./scenario.ts";

export interface Row extends Scenario {
  /** Runs; the more usual ones are run several times. */
  readonly runs: number;
}

/** Of a row whose rate depends on what the machine can do: so many times what one core takes. */
export interface Share {
  readonly ofCore: number;
}

const usual: Scenario = {
  name: "",
  protocol: "grpc",
  compression: "none",
  size: "880 B",
  share: 0.02,
  sink: "http",
  sinkCompression: "none",
  cores: 1,
  workers: 0,
  load: "saturate",
};

/** The budget is for this one: spans of 880 bytes, 2 % with personal data. */
export const base: Row = { ...usual, name: "base: gRPC, HTTP sink", runs: 3 };

type Variation = Partial<Omit<Row, "load">> & {
  readonly name: string;
  readonly load?: Scenario["load"] | Share;
};

const gzipBoth = { compression: "gzip", sinkCompression: "gzip" } as const;

export const variations: readonly Variation[] = [
  { name: "  no sink", sink: "none", runs: 2 },
  { name: "  gRPC sink", sink: "grpc" },
  { name: "  sink gzip", sinkCompression: "gzip" },
  { name: "  gzip in and out", ...gzipBoth, runs: 2 },
  { name: "  300 B", size: "300 B" },
  { name: "  3 KB", size: "3 KB" },
  { name: "  clean", share: 0 },
  { name: "  100 % personal data", share: 1 },
  { name: "HTTP protobuf", protocol: "http" },
  { name: "  gzip in and out", protocol: "http", ...gzipBoth },
  { name: "  zstd in", protocol: "http", compression: "zstd" },
  { name: "HTTP JSON", protocol: "json" },
  { name: "  gzip in and out", protocol: "json", ...gzipBoth },
  { name: "gRPC, 1 worker, 2 cores", workers: 1, cores: 2, runs: 2 },
  { name: "gRPC, 2 workers, 2 cores", workers: 2, cores: 2 },
  { name: "gRPC, half load", load: { ofCore: 0.5 } },
  { name: "  10,000 spans/s", load: 10_000 },
  { name: "  4 busy senders, 8 small", load: "fair" },
  { name: "gRPC, a tenth of the load", load: { ofCore: 0.1 } },
  { name: "  twice the load", load: { ofCore: 2 } },
  { name: "  four times the load", load: { ofCore: 4 } },
  { name: "HTTP, twice the load", protocol: "http", load: { ofCore: 2 } },
];

/** @param core spans a second that one core takes */
export function rowOf(variation: Variation, core: number): Row {
  const load = variation.load ?? usual.load;
  const rate = typeof load === "object" ? Math.round(load.ofCore * core) : load;
  return { ...usual, runs: 1, ...variation, load: rate };
}
