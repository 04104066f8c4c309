/** OTLP over HTTP with protobuf: one connection for each endpoint, no redirects, no proxy. */
import { Agent as SecureAgent } from "node:https";
import type { Signal } from "../audit/otlp/schema.ts";
import { sinkHttpIdleMs } from "../limits.ts";
import http from "../node-http.ts";
import { withTimeout } from "./attempt.ts";
import { compress } from "./compress.ts";
import { callHttp } from "./http-call.ts";
import type { HttpAnswer, HttpTarget } from "./http-call.ts";
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
  const tls = connectOptions(plan.tls);
  // A connection that waits for longer may be closed by the sink at the moment of the next request.
  const waiting = { keepAlive: true, timeout: sinkHttpIdleMs };
  const agents = {
    "http:": new http.Agent(waiting),
    "https:": new SecureAgent({ ...waiting, ...tls }),
  };
  const headers = {
    "user-agent": "spanseal",
    ...plan.headers,
    "content-type": "application/x-protobuf",
    ...(plan.gzip && { "content-encoding": "gzip" }),
  };
  const targets = new Map(
    plan.signals.map((signal): [Signal, HttpTarget] => {
      const url = endpointOf(signal, plan);
      return [signal, { url, agent: agents[url.protocol as keyof typeof agents], headers }];
    }),
  );
  return {
    signals: plan.signals,
    prepare: async (request) => (plan.gzip ? compress(request) : request),
    send: (signal, body, abort) =>
      withTimeout(plan.timeoutMs, abort, async (signalAbort) =>
        outcomeOf(await callHttp(targets.get(signal)!, body, signalAbort), clock),
      ),
    close() {
      for (const agent of Object.values(agents)) agent.destroy();
      return Promise.resolve();
    },
  };
}

function endpointOf(signal: Signal, plan: SinkPlan): URL {
  const own = plan.endpoints[signal];
  if (own !== undefined) return parseSinkUrl(own, `${signal}_endpoint`);
  const url = parseSinkUrl(plan.base!, "endpoint");
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/v1/${signal}`;
  return url;
}

function outcomeOf({ status: code, headers, body }: HttpAnswer, clock: ForwardClock): SendOutcome {
  const status = `HTTP ${code}`;
  const contentType = (headers["content-type"] ?? "").toLowerCase();
  if (code >= 200 && code < 300) {
    if (body === undefined) return { kind: "accepted", status, remark: unreadableAnswer };
    const remark = readExportResponse(body, contentType.includes("json"));
    return { kind: "accepted", status, remark };
  }
  const message = body === undefined ? "" : readErrorMessage(body, contentType);
  if (retryableHttpStatus.has(code)) {
    const afterMs = readRetryAfter(headers["retry-after"], clock.nowMs());
    return { kind: "retry", status, message, afterMs };
  }
  return { kind: rejectingStatus.has(code) ? "rejected" : "hold", status, message };
}
