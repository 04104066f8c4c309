/** What a rule of OTLP is here: words, requests, and the answers that keep it. */
import type { Signal } from "../../src/audit/otlp/schema.ts";
import type { GrpcAnswer, GrpcCall, HttpAnswer, HttpRequest } from "./clients.ts";

/**
 * Who demands it: the specification (MUST, SHOULD, MAY), the Go collector that exporters are tested
 * against, or a habit of clients.
 */
export type Level = "MUST" | "SHOULD" | "MAY" | "collector" | "quirk";

/** A receiver under test, by address. */
export interface Receiver {
  /** `http://host:port` */
  readonly http?: string;
  /** `host:port` */
  readonly grpc?: string;
  /**
   * What the receiver passed on: resolves with the first item of the signal of that name. Absent
   * where nobody listens at the receiver's other end; then only answers are judged.
   */
  readonly passedOn?: (signal: Signal, name: string) => Promise<PassedOn>;
}

export interface PassedOn {
  /** The span, log record or metric as plain data (`decodeOtlp`). */
  readonly item: Readonly<Record<string, unknown>>;
  /** The whole request that it came in. */
  readonly bytes: Buffer;
}

export interface HttpExpected {
  readonly status: number | readonly number[];
  /** Lower-case names; a pattern, or a text to be equal to; null where the header must be absent. */
  readonly headers?: Readonly<Record<string, RegExp | string | null>>;
  readonly body?: "empty" | "empty JSON" | "status" | "JSON status";
}

export interface GrpcExpected {
  readonly code: number | readonly number[];
  readonly acceptEncoding?: RegExp;
  /** Whether a RetryInfo is attached. */
  readonly retryInfo?: boolean;
}

/** What must have arrived at the other end. */
export interface Arrival {
  readonly signal: Signal;
  readonly name: string;
  /** Members that the item must have; undefined where it must not have one. */
  readonly item?: Readonly<Record<string, unknown>>;
  /** Bytes that must be in the request. */
  readonly holds?: Uint8Array;
  /** Text that must not. */
  readonly hides?: readonly string[];
}

interface CaseParts {
  readonly name: string;
  /** Why this receiver answers otherwise, and with what: a decision, not a fault. */
  readonly deliberate?: {
    readonly reason: string;
    readonly http?: HttpExpected;
    readonly grpc?: GrpcExpected;
  };
}

export type Case =
  | (CaseParts & {
      readonly request: HttpRequest;
      readonly expected: HttpExpected;
      readonly arrives?: Arrival;
    })
  | (CaseParts & { readonly call: GrpcCall; readonly expected: GrpcExpected })
  /** More than one request and its answer. Resolves with what is wrong. */
  | (CaseParts & {
      readonly transport: "http" | "grpc";
      readonly probe: (address: string) => Promise<string | undefined>;
    })
  /** Needs a receiver that can be configured or made to fail: a test of this repository. */
  | (CaseParts & { readonly test: { readonly file: string; readonly title: string } });

export interface Rule {
  /** As in the list of the facts that the receiver was built by: H… HTTP, G… gRPC, P… payload. */
  readonly id: string;
  readonly level: Level;
  readonly says: string;
  readonly cases: readonly Case[];
}

/** @returns what is wrong with an answer, undefined where it is as expected. */
export function httpFault(answer: HttpAnswer, expected: HttpExpected): string | undefined {
  const statuses = [expected.status].flat();
  if (!statuses.includes(answer.status)) {
    return `status ${answer.status}, expected ${statuses.join(" or ")}`;
  }
  for (const [name, wanted] of Object.entries(expected.headers ?? {})) {
    const value = answer.headers[name];
    const text = Array.isArray(value) ? value.join(", ") : value;
    const fits =
      wanted === null
        ? text === undefined
        : text !== undefined && (typeof wanted === "string" ? text === wanted : wanted.test(text));
    if (!fits) return `header ${name}: ${text ?? "absent"}, expected ${String(wanted)}`;
  }
  return expected.body === undefined ? undefined : bodyFault(answer.body, expected.body);
}

type BodyKind = NonNullable<HttpExpected["body"]>;

const fits: Readonly<Record<BodyKind, (body: Buffer) => boolean>> = {
  empty: (body) => body.length === 0,
  "empty JSON": (body) => /^\{(?:"partialSuccess":\{\})?\}\s*$/.test(body.toString()),
  "JSON status": (body) => {
    const status = parsed(body.toString()) as { code?: unknown; message?: unknown } | undefined;
    return typeof status?.code === "number" && typeof status.message === "string";
  },
  // Field 1, the code, as a varint: what a Status begins with.
  status: (body) => body[0] === 0x08,
};

function bodyFault(body: Buffer, wanted: BodyKind): string | undefined {
  return fits[wanted](body) ? undefined : `the body "${body.toString("latin1")}", not ${wanted}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function grpcFault(answer: GrpcAnswer, expected: GrpcExpected): string | undefined {
  const codes = [expected.code].flat();
  if (!codes.includes(answer.code)) {
    return `grpc-status ${answer.code} (${answer.message}), expected ${codes.join(" or ")}`;
  }
  const { acceptEncoding, retryInfo } = expected;
  if (acceptEncoding !== undefined && !acceptEncoding.test(answer.acceptEncoding ?? "")) {
    return `grpc-accept-encoding ${answer.acceptEncoding ?? "absent"}`;
  }
  const hasRetryInfo = answer.status?.retryDelaySeconds !== undefined;
  if (retryInfo !== undefined && hasRetryInfo !== retryInfo) {
    return retryInfo ? "no RetryInfo" : "a RetryInfo, which asks for a repeat";
  }
  return undefined;
}

export function arrivalFault(seen: PassedOn, wanted: Arrival): string | undefined {
  for (const [member, value] of Object.entries(wanted.item ?? {})) {
    const [have, want] = [JSON.stringify(seen.item[member]), JSON.stringify(value)];
    if (have !== want) return `${member} arrived as ${have ?? "nothing"}, expected ${want}`;
  }
  if (wanted.holds !== undefined && !seen.bytes.includes(wanted.holds)) {
    return `bytes ${Buffer.from(wanted.holds).toString("hex")} did not arrive`;
  }
  const leaked = wanted.hides?.find((text) => seen.bytes.includes(text));
  return leaked === undefined ? undefined : `${leaked} arrived`;
}
