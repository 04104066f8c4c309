/** OTLP over HTTP with protobuf: one connection for each endpoint, no redirects, no proxy. */
import { createSecureContext } from "node:tls";
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import { Agent } from "undici";
import type { Dispatcher } from "undici";
import type { Signal } from "../audit/otlp/schema.ts";
import { sinkResponseBytesMax } from "../limits.ts";
import { ForwardError } from "./forward-error.ts";
import type { ForwardClock } from "./options.ts";
import type { SendOutcome, Sink } from "./sink.ts";
import { readErrorMessage, readExportResponse, readRetryAfter } from "./sink-answer.ts";
import { parseEndpoint } from "./sink-options.ts";
import type { SinkPlan, TlsMaterial } from "./sink-options.ts";

const compress = promisify(gzip);
/** Spans shrink tenfold at every level; the fastest one costs half the time of the default. */
const compression = { level: constants.Z_BEST_SPEED };

const retryableStatus = new Set([429, 502, 503, 504]);
const rejectingStatus = new Set([400, 413]);

/** A certificate that is not accepted stays so until somebody changes it. */
const certificateError =
  /^(?:CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(?:GET|VERIFY)_|ERR_TLS_CERT|HOSTNAME_MISMATCH)/;

/** @throws ForwardError `bad_option` */
export function openHttpSink(plan: SinkPlan, clock: ForwardClock): Sink {
  const urls = new Map(plan.signals.map((signal) => [signal, endpointOf(signal, plan)]));
  const agent = new Agent({
    connections: plan.signals.length,
    pipelining: 1,
    allowH2: false,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { ...connectOptions(plan.tls), timeout: plan.timeoutMs },
  });
  const headers = {
    "user-agent": "spanseal",
    ...plan.headers,
    "content-type": "application/x-protobuf",
    ...(plan.gzip && { "content-encoding": "gzip" }),
  };
  return {
    signals: plan.signals,
    prepare: async (request) => (plan.gzip ? compress(request, compression) : request),
    send: (signal, body, abort) =>
      withTimeout(plan.timeoutMs, abort, async (signalAbort) => {
        const url = urls.get(signal)!;
        const response = await agent.request({
          origin: url.origin,
          path: url.pathname + url.search,
          method: "POST",
          headers,
          body,
          signal: signalAbort,
        });
        return readAnswer(response, clock);
      }),
    close: () => agent.destroy(),
  };
}

function endpointOf(signal: Signal, plan: SinkPlan): URL {
  const own = plan.endpoints[signal];
  if (own !== undefined) return parseEndpoint(own);
  const url = parseEndpoint(plan.base!);
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/v1/${signal}`;
  return url;
}

function connectOptions(tls: TlsMaterial): object {
  const { ca, cert, key } = tls;
  try {
    return {
      // Parsed once, and here, so that a bad file is found at start.
      secureContext: createSecureContext({
        ca,
        ...(cert !== undefined && key !== undefined && { cert, key }),
      }),
      // Explicit, because NODE_TLS_REJECT_UNAUTHORIZED would speak otherwise.
      rejectUnauthorized: tls.verify,
      ...(tls.serverName !== undefined && { servername: tls.serverName }),
    };
  } catch (cause) {
    throw new ForwardError(
      "bad_option",
      "exporter option tls: the certificate files are not PEM, or key and certificate differ",
      { cause },
    );
  }
}

/** One attempt with its own deadline. */
async function withTimeout(
  timeoutMs: number,
  abort: AbortSignal,
  attempt: (abort: AbortSignal) => Promise<SendOutcome>,
): Promise<SendOutcome> {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    controller.abort();
  }, timeoutMs);
  abort.addEventListener("abort", stop);
  if (abort.aborted) controller.abort();
  try {
    return await attempt(controller.signal);
  } catch (error) {
    if (!isLate) return networkFailure(error);
    return { kind: "retry", status: "timeout", message: `no answer within ${timeoutMs} ms` };
  } finally {
    clearTimeout(timer);
    abort.removeEventListener("abort", stop);
  }
}

function networkFailure(error: unknown): SendOutcome {
  const code = codeOf(error) ?? "network error";
  const message = error instanceof Error ? error.message : String(error);
  return { kind: certificateError.test(code) ? "hold" : "retry", status: code, message };
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

async function readAnswer(
  response: Dispatcher.ResponseData,
  clock: ForwardClock,
): Promise<SendOutcome> {
  const { statusCode } = response;
  const status = `HTTP ${statusCode}`;
  const contentType = (header(response, "content-type") ?? "").toLowerCase();
  const body = await readBody(response);
  if (statusCode >= 200 && statusCode < 300) {
    if (body === undefined) {
      const message = `the answer is longer than ${sinkResponseBytesMax} bytes`;
      return { kind: "accepted", status, remark: { kind: "unreadable", message } };
    }
    const remark = readExportResponse(body, contentType.includes("json"));
    return { kind: "accepted", status, remark };
  }
  const message = body === undefined ? "" : readErrorMessage(body, contentType);
  if (retryableStatus.has(statusCode)) {
    const afterMs = readRetryAfter(header(response, "retry-after"), clock.nowMs());
    return { kind: "retry", status, message, afterMs };
  }
  return { kind: rejectingStatus.has(statusCode) ? "rejected" : "hold", status, message };
}

function header(response: Dispatcher.ResponseData, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Undefined where the body exceeds its bound; the rest is not received then. */
async function readBody(response: Dispatcher.ResponseData): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    size += chunk.length;
    // Leaving the loop destroys the body and with it the connection.
    if (size > sinkResponseBytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}
