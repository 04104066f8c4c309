/** What ingest hands on: one OTLP export call, already bounded, inflated and in protobuf. */
import type { Signal } from "./otlp/schema.ts";

export interface Peer {
  /** Remote address without port; empty where unknown. */
  readonly address: string;
  /** True where TLS client certificate or bearer token proved the sender. */
  readonly authenticated: boolean;
}

export interface TelemetryRequest {
  readonly signal: Signal;
  /** The Export…ServiceRequest message as protobuf. Byte for byte what came, unless it was JSON. */
  readonly bytes: Uint8Array;
  readonly peer: Peer;
  /** Unix time in nanoseconds when the request was received. */
  readonly receivedUnixNano: bigint;
}
