/** How much a request holds, for the record about its rejection. */
import { WireError, WireReader } from "../bytes/wire.ts";
import type { Signal } from "../audit/otlp/schema.ts";

/** Field numbers from the request to its spans, log records or metrics. */
const itemPath = [1, 2, 2];
/** Gauge, Sum, Histogram, ExponentialHistogram, Summary: each has its data points in field 1. */
const metricKinds = new Set([5, 7, 9, 10, 11]);

/** Spans, log records or data points; 0 where the request cannot be read. */
export function countItems(signal: Signal, request: Uint8Array): number {
  let count = 0;
  const visit = (message: WireReader, depth: number): void => {
    while (message.next()) {
      if (message.field !== itemPath[depth]) continue;
      if (depth + 1 < itemPath.length) visit(message.message(), depth + 1);
      else count += signal === "metrics" ? countDataPoints(message.message()) : 1;
    }
  };
  try {
    visit(new WireReader(request), 0);
  } catch (error) {
    if (error instanceof WireError) return 0;
    throw error;
  }
  return count;
}

function countDataPoints(metric: WireReader): number {
  let count = 0;
  while (metric.next()) {
    if (!metricKinds.has(metric.field)) continue;
    const data = metric.message();
    while (data.next()) if (data.field === 1) count++;
  }
  return count;
}
