/** OTLP over HTTP with protobuf: one connection for each endpoint, no redirects, no proxy. */
import { Agent } from "undici";
import type { Dispatcher } from "undici";
import type { Signal } from "../audit/otlp/schema.ts";
import { sinkResponseBytesMax } from "../limits.ts";
import { withTimeout } from "./attempt.ts";
import { compress } from "./compress.ts";
import type { ForwardClock } from "./options.ts";
import type { SendOutcome, Sink } from "./sink.ts";
import {
  readErrorMessage,
  readExportResponse,
  readRetryAfter,
  retryableHttpStatus,
  unreadableAnswer,
} from "./sink-answer.ts";
import { connectOptions, parseSinkUrl } from "./sink-options.ts";
import type { SinkPlan } from "./sink-options.ts";

const rejectingStatus = new Set([400, 413]);

/** @throws SinkOptionError */
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
    prepare: async (request) => (plan.gzip ? compress(request) : request),
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
  if (own !== undefined) return parseSinkUrl(own, `${signal}_endpoint`);
  const url = parseSinkUrl(plan.base!, "endpoint");
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/v1/${signal}`;
  return url;
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
    if (body === undefined) return { kind: "accepted", status, remark: unreadableAnswer };
    const remark = readExportResponse(body, contentType.includes("json"));
    return { kind: "accepted", status, remark };
  }
  const message = body === undefined ? "" : readErrorMessage(body, contentType);
  if (retryableHttpStatus.has(statusCode)) {
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
