/** Requests of one item, found again by its name. */
import { encodeOtlp, encodeOtlpJson, type Plain } from "../support/otlp-writer.ts";

export const PROTOBUF = { "content-type": "application/x-protobuf" };
export const JSON_TYPE = { "content-type": "application/json" };

export const traceId = Buffer.from("0af7651916cd43dd8448eb211c80319c", "hex");
export const spanId = Buffer.from("b7ad6b7169203331", "hex");

const plainSpan = {
  traceId,
  spanId,
  kind: 1,
  startTimeUnixNano: 1_795_241_720_000_000_001n,
  endTimeUnixNano: 1_795_241_721_000_000_002n,
};

/** Everything around the spans of a request. */
export function aroundSpans(spans: readonly Plain[]): Plain {
  return { resourceSpans: [{ scopeSpans: [{ scope: { name: "conformance" }, spans }] }] };
}

export function spanProtobuf(name: string, more: Plain = {}): Uint8Array {
  const spans = [{ ...plainSpan, name, ...more }];
  return encodeOtlp("ExportTraceServiceRequest", aroundSpans(spans));
}

export function spanJson(name: string, more: Plain = {}): string {
  const spans = [{ ...plainSpan, name, ...more }];
  return encodeOtlpJson("ExportTraceServiceRequest", aroundSpans(spans));
}

/** A span in JSON as it is written here, without a look at the schema. */
export function jsonText(name: string, members: string): string {
  const ids = `"traceId":"${traceId.toString("hex")}","spanId":"${spanId.toString("hex")}"`;
  const given = /"(?:traceId|spanId)"/.test(members) ? "" : `${ids},`;
  return `{"resourceSpans":[{"scopeSpans":[{"spans":[{${given}"name":"${name}",${members}}]}]}]}`;
}

/** A request of one span or metric whose fields are these bytes. */
export function inRequest(fields: Uint8Array): Uint8Array {
  return [2, 2, 1].reduce<Uint8Array>((inner, number) => field(number, inner), fields);
}

/** A length-delimited field. */
export function field(number: number, payload: Uint8Array): Uint8Array {
  const head: number[] = [];
  for (let rest = payload.length; ; rest >>>= 7) {
    if (rest < 128) {
      head.push(rest);
      break;
    }
    head.push((rest & 127) | 128);
  }
  return Buffer.concat([Buffer.from([number * 8 + 2, ...head]), payload]);
}

/** Field `name` of a span. */
export function nameField(name: string): Uint8Array {
  return field(5, Buffer.from(name));
}

export const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(" ", ""), "hex");
