/** The method of gRPC that requests of a signal are sent to: by senders to us, and by us to a sink. */
import type { Signal } from "./schema.ts";

export const EXPORT_PATH: Readonly<Record<Signal, string>> = {
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
};
