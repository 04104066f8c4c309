/** What a forwarder is told, as plain data. Names follow the OpenTelemetry Collector's exporters. */
import type { Signal } from "../audit/otlp/schema.ts";
import type { Clock } from "../ledger/clock.ts";
import type { Files } from "../ledger/files.ts";
import type { ForwardControl } from "./control.ts";

export interface TlsOptions {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** gRPC without TLS where the endpoint has no scheme. HTTP follows the scheme. */
  readonly insecure?: boolean | undefined;
  readonly insecureSkipVerify?: boolean | undefined;
  readonly serverNameOverride?: string | undefined;
}

export interface SinkOptions {
  readonly kind: "http" | "grpc";
  /** HTTP: a URL to which `/v1/traces` … is added. gRPC: `host:port`, `http://…` or `https://…`. */
  readonly endpoint?: string | undefined;
  /** Per signal, taken as they are. Without `endpoint` only these signals are forwarded. */
  readonly endpoints?: Readonly<Partial<Record<Signal, string>>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly compression: "gzip" | "none";
  /** One attempt, from connecting to the end of the answer. */
  readonly timeoutMs: number;
  readonly tls?: TlsOptions | undefined;
}

export interface RetryOptions {
  readonly enabled: boolean;
  readonly initialIntervalMs: number;
  readonly maxIntervalMs: number;
  readonly multiplier: number;
  /** 0.5: each wait is drawn from half to one and a half times the interval. */
  readonly randomizationFactor: number;
  /** 0 never gives up. Otherwise the request is given up with a control record. */
  readonly maxElapsedMs: number;
}

/** The clock in the unit of everything here. */
export interface ForwardClock {
  /** Wall clock, Unix time in milliseconds. */
  nowMs(): number;
  /** Never goes back; only differences mean something. */
  monotonicMs(): number;
}

const nanosPerMilli = 1_000_000n;

export function forwardClock(clock: Clock): ForwardClock {
  return {
    nowMs: () => Number(clock.wallUnixNano() / nanosPerMilli),
    monotonicMs: () => Number(clock.monotonicNano() / nanosPerMilli),
  };
}

export type ForwardLog = (
  level: "info" | "warn" | "error",
  message: string,
  fields: Readonly<Record<string, string | number | boolean | undefined>>,
) => void;

export interface ForwarderOptions {
  /** Folder of the spools. */
  readonly directory: string;
  readonly files: Files;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly sink: SinkOptions;
  /** Bound of each signal's queue. */
  readonly queueBytesMax: number;
  readonly onFull: "refuse" | "suspend";
  readonly retry: RetryOptions;
  /** Appends a control record; resolves when it is durable. Repeated until it does. */
  readonly onControl: (control: ForwardControl) => Promise<void>;
  /** Removes personal data from a sink's error message before it is kept or shown. */
  readonly redactMessage: (text: string) => string;
  readonly log: ForwardLog;
  /** For tests: file and memory sizes other than those of `limits.ts`. */
  readonly segmentBytesMax?: number | undefined;
  readonly cacheBytesMax?: number | undefined;
  readonly cursorIntervalMs?: number | undefined;
}
