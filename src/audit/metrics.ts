/** Metrics make no records; they are only counted. */
import { GROUP_END, LENGTH_DELIMITED, WireReader } from "../bytes/wire.ts";

/** Fields of Metric that hold data points, all of them as field 1. */
const DATA: ReadonlySet<number> = new Set([5, 7, 9, 10, 11]);

/** Data points of an ExportMetricsServiceRequest. @throws WireError where it is none. */
export function countDataPoints(bytes: Uint8Array): number {
  let count = 0;
  for (const resource of messages(new WireReader(bytes), 1)) {
    for (const scope of messages(resource, 2)) {
      for (const metric of messages(scope, 2)) count += pointsOf(metric);
    }
  }
  return count;
}

function pointsOf(metric: WireReader): number {
  let count = 0;
  while (metric.next()) {
    if (metric.wireType !== LENGTH_DELIMITED || !DATA.has(metric.field)) continue;
    const points = metric.message();
    while (points.next()) if (points.field === 1 && points.wireType !== GROUP_END) count++;
  }
  return count;
}

function* messages(reader: WireReader, field: number): Generator<WireReader> {
  while (reader.next()) {
    if (reader.field === field && reader.wireType === LENGTH_DELIMITED) yield reader.message();
  }
}
