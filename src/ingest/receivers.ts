/** The OTLP receivers: gRPC and HTTP, sharing one budget and one handler. */
import type { Signal } from "../audit/otlp/schema.ts";
import type { TelemetryRequest } from "../audit/request.ts";
import * as limits from "../limits.ts";
import { type Authentication, openBearerTokens, openToAll } from "./authentication.ts";
import { Budget } from "./budget.ts";
import { Connections } from "./connections.ts";
import type { ClosedReason, IngestLogEntry, RequestEvent, Station, Transport } from "./exchange.ts";
import { startGrpc } from "./grpc.ts";
import { type HttpEndpoint, startHttp } from "./http.ts";
import { transcodeJson } from "./json.ts";
import { type BoundAddress, type Endpoint, type Receiver, watchLog } from "./listener.ts";
import { ReceiverError } from "./receiver-error.ts";
import { Turns } from "./turns.ts";

export type { Endpoint, HttpEndpoint, IngestLogEntry, RequestEvent };

/** Every bound; the defaults are those of `limits.ts`. */
interface IngestBounds {
  readonly requestBytesMax: number;
  readonly inflightBytesMax: number;
  readonly requestsMax: number;
  readonly connectionsMax: number;
  readonly headerTimeMsMax: number;
  readonly bodyTimeMsMax: number;
  readonly answerTimeMsMax: number;
  readonly receivingMsMin: number;
  readonly queueTimeMsMax: number;
  readonly standingTimeMsMax: number;
  readonly workSliceMs: number;
}

export interface ReceiverOptions extends Partial<IngestBounds> {
  readonly grpc?: Endpoint;
  readonly http?: HttpEndpoint;
  /** Unix time in nanoseconds. */
  now(): bigint;
  log?(entry: IngestLogEntry): void;
  /** Told once per request, also per refused one. */
  onRequest?(event: RequestEvent): void;
  /** Told once per connection that was closed for what its sender does. */
  onClosed?(event: { readonly transport: Transport; readonly reason: ClosedReason }): void;
}

export interface Receivers {
  /** Where the receivers listen, with the real port. */
  readonly grpc?: BoundAddress;
  readonly http?: BoundAddress;
  /** Requests and bytes in flight now. */
  inFlight(): { requests: number; bytes: number };
  /**
   * Stops accepting, answers new requests on open connections with a retryable refusal, lets those
   * in flight finish, and closes all connections: after `graceMs` in any case.
   */
  close(graceMs: number): Promise<void>;
}

/**
 * Resolves when the request is durable; a rejection is answered by the table in `status.ts`.
 * `connection` is the same object for all requests of one connection.
 */
export type Handler = (request: TelemetryRequest, connection: object) => Promise<void>;

/** @throws ReceiverError; then nothing is left open. */
export async function startReceivers(
  options: ReceiverOptions,
  handler: Handler,
): Promise<Receivers> {
  const bounds = boundsOf(options);
  const turns = new Turns({ ...bounds, unsettledBytesMax: limits.unsettledBytesMax });
  const { workSliceMs } = bounds;
  const inflations = new Turns({ workSliceMs, queueTimeMsMax: limits.inflateQueueTimeMsMax });
  const budget = new Budget(bounds, {
    makeRoom: (...room) => inflations.makeRoom(...room) || turns.makeRoom(...room),
  });
  const open: { grpc?: Receiver; http?: Receiver } = {};
  const closeAll = async (graceMs: number): Promise<void> => {
    const all = [open.grpc, open.http].filter((opened) => opened !== undefined);
    // Both at once: `graceMs` is for all of it.
    await Promise.all(all.map((opened) => opened.close(graceMs)));
  };
  const opening = { options, bounds, budget, turns, inflations, handler };
  try {
    if (options.grpc !== undefined) open.grpc = await openReceiver("grpc", options.grpc, opening);
    if (options.http !== undefined) open.http = await openReceiver("http", options.http, opening);
  } catch (error) {
    await closeAll(0);
    throw error;
  }
  return {
    ...(open.grpc === undefined ? {} : { grpc: open.grpc.bound }),
    ...(open.http === undefined ? {} : { http: open.http.bound }),
    inFlight: () => ({ requests: budget.requests, bytes: budget.bytes }),
    close: closeAll,
  };
}

interface Opening {
  readonly options: ReceiverOptions;
  readonly bounds: IngestBounds;
  readonly budget: Budget;
  readonly turns: Turns;
  readonly inflations: Turns;
  readonly handler: Handler;
}

async function openReceiver(
  transport: Transport,
  endpoint: HttpEndpoint,
  opening: Opening,
): Promise<Receiver> {
  const { options, bounds } = opening;
  const { auth } = endpoint;
  const log = (entry: IngestLogEntry): void => options.log?.(entry);
  const authentication =
    auth === undefined
      ? openToAll
      : await openBearerTokens(auth.bearerTokenFile, watchLog({ log, transport }));
  const station = stationOf(transport, endpoint, opening, authentication);
  try {
    const start = transport === "grpc" ? startGrpc : startHttp;
    const receiver = await start(endpoint, station, bounds);
    return {
      bound: receiver.bound,
      async close(graceMs) {
        station.draining = true;
        await receiver.close(graceMs);
        authentication.close();
      },
    };
  } catch (error) {
    authentication.close();
    throw error;
  }
}

function stationOf(
  transport: Transport,
  endpoint: HttpEndpoint,
  { options, bounds, budget, turns, inflations, handler }: Opening,
  authentication: Authentication,
): Station {
  return {
    transport,
    authentication,
    connections: new Connections(bounds.connectionsMax),
    budget,
    turns,
    inflations,
    requestBytesMax: endpoint.requestBytesMax ?? bounds.requestBytesMax,
    bodyTimeMsMax: bounds.bodyTimeMsMax,
    answerTimeMsMax: bounds.answerTimeMsMax,
    draining: false,
    handler,
    transcode: (signal: Signal, text: Uint8Array) => transcodeJson(signal, text),
    now: () => options.now(),
    log: (entry) => options.log?.(entry),
    onRequest: (event) => options.onRequest?.(event),
    onClosed: (reason) => options.onClosed?.({ transport, reason }),
  };
}

/** @throws ReceiverError `bad_bounds` where one bound makes another senseless. */
function boundsOf(options: ReceiverOptions): IngestBounds {
  const bounds: IngestBounds = {
    requestBytesMax: options.requestBytesMax ?? limits.requestBytesMax,
    inflightBytesMax: options.inflightBytesMax ?? limits.inflightBytesMax,
    requestsMax: options.requestsMax ?? limits.requestsMax,
    connectionsMax: options.connectionsMax ?? limits.connectionsMax,
    headerTimeMsMax: options.headerTimeMsMax ?? limits.headerTimeMsMax,
    bodyTimeMsMax: options.bodyTimeMsMax ?? limits.bodyTimeMsMax,
    answerTimeMsMax: options.answerTimeMsMax ?? limits.answerTimeMsMax,
    receivingMsMin: options.receivingMsMin ?? limits.receivingMsMin,
    queueTimeMsMax: options.queueTimeMsMax ?? limits.queueTimeMsMax,
    standingTimeMsMax: options.standingTimeMsMax ?? limits.standingTimeMsMax,
    workSliceMs: options.workSliceMs ?? limits.workSliceMs,
  };
  // A compressed request holds both of its forms for a moment; less could never take the largest.
  if (bounds.inflightBytesMax < 2 * bounds.requestBytesMax) {
    throw new ReceiverError(
      "bad_bounds",
      `expected inflightBytesMax of at least twice requestBytesMax (${bounds.requestBytesMax}), ` +
        `received ${bounds.inflightBytesMax}`,
      { remedy: "raise the first or lower the second" },
    );
  }
  return bounds;
}
