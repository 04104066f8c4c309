/** One exchange of HTTP/1.1: a request there, an answer back. */
import type { Agent, ClientRequest, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { request as requestSecure } from "node:https";
import { sinkResponseBytesMax } from "../limits.ts";
import http from "../node-http.ts";

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** Undefined where it is longer than its bound. */
  readonly body: Buffer | undefined;
}

export interface HttpTarget {
  readonly url: URL;
  readonly agent: Agent;
  readonly headers: OutgoingHttpHeaders;
}

/**
 * Resolves when there is a whole answer and nothing reads `body` any more. Rejects where the
 * connection ends, or `abort` is aborted, before there is one.
 */
export function callHttp(
  { url, agent, headers }: HttpTarget,
  body: Uint8Array,
  abort: AbortSignal,
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const open = url.protocol === "https:" ? requestSecure : http.request;
    const request = open(url, { method: "POST", agent, headers, signal: abort });
    let isAnswered = false;
    const fail = (error: Error): void => {
      if (!isAnswered) reject(error);
    };
    request.on("error", fail);
    request.on("response", (response) => {
      response.on("error", fail);
      collect(response, (answer) => {
        isAnswered = true;
        whenSent(request, () => resolve(answer));
      });
    });
    request.end(body);
  });
}

function collect(response: IncomingMessage, done: (answer: HttpAnswer) => void): void {
  const { statusCode: status = 0, headers } = response;
  const chunks: Buffer[] = [];
  let size = 0;
  response.on("data", (chunk: Buffer) => {
    size += chunk.length;
    chunks.push(chunk);
    if (size <= sinkResponseBytesMax) return;
    // The rest is not received.
    response.removeAllListeners("data");
    response.destroy();
    done({ status, headers, body: undefined });
  });
  response.on("end", () => done({ status, headers, body: Buffer.concat(chunks, size) }));
}

/** A sink may answer before it has read everything. */
function whenSent(request: ClientRequest, done: () => void): void {
  if (request.writableFinished) return done();
  request.once("close", done);
  request.destroy();
}
