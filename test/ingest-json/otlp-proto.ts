/**
 * OTLP for protobufjs: the decoder that the hand-written readers and writers are held against. It
 * is written out here, and not derived from `src/audit/otlp/schema.ts`, so that it can disagree.
 */
import protobuf from "protobufjs";

const text = `
syntax = "proto3";

message ExportTraceServiceRequest { repeated ResourceSpans resourceSpans = 1; }
message ExportLogsServiceRequest { repeated ResourceLogs resourceLogs = 1; }
message ExportMetricsServiceRequest { repeated ResourceMetrics resourceMetrics = 1; }

message AnyValue {
  oneof value {
    string stringValue = 1;
    bool boolValue = 2;
    int64 intValue = 3;
    double doubleValue = 4;
    ArrayValue arrayValue = 5;
    KeyValueList kvlistValue = 6;
    bytes bytesValue = 7;
  }
}
message ArrayValue { repeated AnyValue values = 1; }
message KeyValueList { repeated KeyValue values = 1; }
message KeyValue { string key = 1; AnyValue value = 2; }
message InstrumentationScope {
  string name = 1;
  string version = 2;
  repeated KeyValue attributes = 3;
  uint32 droppedAttributesCount = 4;
}
message EntityRef {
  string schemaUrl = 1;
  string type = 2;
  repeated string idKeys = 3;
  repeated string descriptionKeys = 4;
}
message Resource {
  repeated KeyValue attributes = 1;
  uint32 droppedAttributesCount = 2;
  repeated EntityRef entityRefs = 3;
}

message ResourceSpans {
  Resource resource = 1;
  repeated ScopeSpans scopeSpans = 2;
  string schemaUrl = 3;
}
message ScopeSpans {
  InstrumentationScope scope = 1;
  repeated Span spans = 2;
  string schemaUrl = 3;
}
message Span {
  bytes traceId = 1;
  bytes spanId = 2;
  string traceState = 3;
  bytes parentSpanId = 4;
  fixed32 flags = 16;
  string name = 5;
  int32 kind = 6;
  fixed64 startTimeUnixNano = 7;
  fixed64 endTimeUnixNano = 8;
  repeated KeyValue attributes = 9;
  uint32 droppedAttributesCount = 10;
  repeated Event events = 11;
  uint32 droppedEventsCount = 12;
  repeated Link links = 13;
  uint32 droppedLinksCount = 14;
  Status status = 15;
}
message Event {
  fixed64 timeUnixNano = 1;
  string name = 2;
  repeated KeyValue attributes = 3;
  uint32 droppedAttributesCount = 4;
}
message Link {
  bytes traceId = 1;
  bytes spanId = 2;
  string traceState = 3;
  repeated KeyValue attributes = 4;
  uint32 droppedAttributesCount = 5;
  fixed32 flags = 6;
}
message Status { string message = 2; int32 code = 3; }

message ResourceLogs {
  Resource resource = 1;
  repeated ScopeLogs scopeLogs = 2;
  string schemaUrl = 3;
}
message ScopeLogs {
  InstrumentationScope scope = 1;
  repeated LogRecord logRecords = 2;
  string schemaUrl = 3;
}
message LogRecord {
  fixed64 timeUnixNano = 1;
  fixed64 observedTimeUnixNano = 11;
  int32 severityNumber = 2;
  string severityText = 3;
  AnyValue body = 5;
  repeated KeyValue attributes = 6;
  uint32 droppedAttributesCount = 7;
  fixed32 flags = 8;
  bytes traceId = 9;
  bytes spanId = 10;
  string eventName = 12;
}

message ResourceMetrics {
  Resource resource = 1;
  repeated ScopeMetrics scopeMetrics = 2;
  string schemaUrl = 3;
}
message ScopeMetrics {
  InstrumentationScope scope = 1;
  repeated Metric metrics = 2;
  string schemaUrl = 3;
}
message Metric {
  string name = 1;
  string description = 2;
  string unit = 3;
  oneof data {
    Gauge gauge = 5;
    Sum sum = 7;
    Histogram histogram = 9;
    ExponentialHistogram exponentialHistogram = 10;
    Summary summary = 11;
  }
  repeated KeyValue metadata = 12;
}
message Gauge { repeated NumberDataPoint dataPoints = 1; }
message Sum {
  repeated NumberDataPoint dataPoints = 1;
  int32 aggregationTemporality = 2;
  bool isMonotonic = 3;
}
message Histogram {
  repeated HistogramDataPoint dataPoints = 1;
  int32 aggregationTemporality = 2;
}
message ExponentialHistogram {
  repeated ExponentialHistogramDataPoint dataPoints = 1;
  int32 aggregationTemporality = 2;
}
message Summary { repeated SummaryDataPoint dataPoints = 1; }
message NumberDataPoint {
  repeated KeyValue attributes = 7;
  fixed64 startTimeUnixNano = 2;
  fixed64 timeUnixNano = 3;
  oneof value { double asDouble = 4; sfixed64 asInt = 6; }
  repeated Exemplar exemplars = 5;
  uint32 flags = 8;
}
message HistogramDataPoint {
  repeated KeyValue attributes = 9;
  fixed64 startTimeUnixNano = 2;
  fixed64 timeUnixNano = 3;
  fixed64 count = 4;
  optional double sum = 5;
  repeated fixed64 bucketCounts = 6;
  repeated double explicitBounds = 7;
  repeated Exemplar exemplars = 8;
  uint32 flags = 10;
  optional double min = 11;
  optional double max = 12;
}
message ExponentialHistogramDataPoint {
  repeated KeyValue attributes = 1;
  fixed64 startTimeUnixNano = 2;
  fixed64 timeUnixNano = 3;
  fixed64 count = 4;
  optional double sum = 5;
  sint32 scale = 6;
  fixed64 zeroCount = 7;
  Buckets positive = 8;
  Buckets negative = 9;
  uint32 flags = 10;
  repeated Exemplar exemplars = 11;
  optional double min = 12;
  optional double max = 13;
  double zeroThreshold = 14;
}
message Buckets { sint32 offset = 1; repeated uint64 bucketCounts = 2; }
message SummaryDataPoint {
  repeated KeyValue attributes = 7;
  fixed64 startTimeUnixNano = 2;
  fixed64 timeUnixNano = 3;
  fixed64 count = 4;
  double sum = 5;
  repeated ValueAtQuantile quantileValues = 6;
  uint32 flags = 8;
}
message ValueAtQuantile { double quantile = 1; double value = 2; }
message Exemplar {
  repeated KeyValue filteredAttributes = 7;
  fixed64 timeUnixNano = 2;
  oneof value { double asDouble = 3; sfixed64 asInt = 6; }
  bytes spanId = 4;
  bytes traceId = 5;
}
`;

export const otlp: protobuf.Namespace = protobuf.parse(text, { keepCase: true }).root.resolveAll();

export const TOP = {
  traces: "ExportTraceServiceRequest",
  logs: "ExportLogsServiceRequest",
  metrics: "ExportMetricsServiceRequest",
} as const;

/**
 * A message as plain data: 64-bit integers as decimal strings, bytes as hexadecimal, absent members
 * of proto3 left out, oneofs as the one member that counts.
 */
export function decodeOtlp(typeName: string, bytes: Uint8Array): unknown {
  const type = otlp.lookupType(typeName);
  return plain(type, type.decode(bytes));
}

function plain(type: protobuf.Type, message: object): unknown {
  const members: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    const value = (message as Record<string, unknown>)[field.name];
    if (!Object.hasOwn(message, field.name) || value === null || value === undefined) continue;
    const one = (item: unknown): unknown =>
      field.resolvedType instanceof protobuf.Type
        ? plain(field.resolvedType, item as object)
        : plainScalar(item);
    if (field.repeated) {
      const items = value as unknown[];
      if (items.length > 0) members[field.name] = items.map(one);
    } else if (!isImplicitDefault(field, value)) members[field.name] = one(value);
  }
  return members;
}

function plainScalar(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (Object.is(value, -0)) return "-0";
  if (typeof value !== "object") return value;
  const { low, high, unsigned } = value as protobuf.Long;
  const bits = (BigInt(high) << 32n) | BigInt(low >>> 0);
  return String(unsigned ? BigInt.asUintN(64, bits) : BigInt.asIntN(64, bits));
}

/** In proto3 a field without presence means the same absent and zero. */
function isImplicitDefault(field: protobuf.Field, value: unknown): boolean {
  if (field.partOf !== null || field.resolvedType !== null) return false;
  if (value instanceof Uint8Array) return value.length === 0;
  return value === "" || value === false || (String(value) === "0" && !Object.is(value, -0));
}
