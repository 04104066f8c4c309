/** The whole sidecar: what it opens, in which order, and how it ends. */
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { AuditPolicy } from "../audit/policy.ts";
import { publicVkeys } from "../ledger/keys.ts";
import type { KeyRing } from "../ledger/keys.ts";
import { addressOf, tryAddresses } from "../ingest/listener.ts";
import type { Address } from "../ingest/listener.ts";
import { startReceivers } from "../ingest/receivers.ts";
import type { IngestLogEntry, Receivers } from "../ingest/receivers.ts";
import { systemClock } from "../ledger/clock.ts";
import { drainReceiversMsMax, drainSinkMsMax } from "../limits.ts";
import type { LoadedConfig } from "./config.ts";
import { checkFiles } from "./config/files.ts";
import type { Config } from "./config/model.ts";
import { formatEndpoint } from "./config/values.ts";
import { controlHandlers } from "./control-commands.ts";
import { openControlSocket } from "./control-socket.ts";
import type { ControlSocket } from "./control-socket.ts";
import { openCore } from "./core.ts";
import type { Core } from "./core.ts";
import { requestHandler } from "./handler.ts";
import { openKeysOf } from "./keys.ts";
import { limitedLog } from "./log.ts";
import type { Log } from "./log.ts";
import { createMetrics } from "./metrics.ts";
import type { Metrics } from "./metrics.ts";
import { operationsAddress, startOperations } from "./operations.ts";
import type { Operations } from "./operations.ts";
import { auditPolicy, policyParts, recordPolicy } from "./policy.ts";
import { inlinePreparer } from "./preparing/preparer.ts";
import type { Preparer } from "./preparing/preparer.ts";
import { openThreads } from "./preparing/threads.ts";
import { pooledRandomBytes } from "./random.ts";
import { exposures, receiverOptions } from "./receiving.ts";
import { sinkName } from "./sink.ts";
import type { SidecarState } from "./state.ts";

export interface Sidecar {
  /** True where this start created the keys. */
  readonly keysCreated: boolean;
  state(): SidecarState;
  /** Stops receiving, then ends log, bucket and sink in the order that loses nothing. */
  close(): Promise<void>;
}

/** What is open so far; `close` ends it in the opposite order. */
interface Opened {
  core?: Core;
  preparer?: Preparer;
  receivers?: Receivers;
  operations?: Operations;
  control?: ControlSocket;
  draining: boolean;
}

/** @throws an error of any layer that says what to do; then nothing is left open. */
export async function openSidecar(loaded: LoadedConfig, log: Log): Promise<Sidecar> {
  const startedAt = new Date().toISOString();
  const { config } = loaded;
  // Keys and ledger stay behind for good: not where the start cannot come to its end.
  await checkFiles(loaded);
  await tryAddresses(addressesOf(config));
  const keys = await openKeysOf(config, { create: true });
  const policy = auditPolicy({ config, keys, randomBytes: pooledRandomBytes() });
  const opened: Opened = { draining: false };
  const core = await openCore({ config, log, keys, redaction: policy.redaction });
  opened.core = core;
  const observe = (): SidecarState => stateOf(config, core, { opened, startedAt });
  const metrics = createMetrics(observe);
  for (const exposure of exposures(config)) log.warn({}, exposure);
  try {
    await recordPolicy(config, core, policy);
    core.forwarder?.start();
    core.publisher.start();
    opened.preparer = await openPreparer(config, { policy, keys, log });
    const handler = requestHandler({ core, preparer: opened.preparer, metrics });
    opened.receivers = await startReceivers(receiving(config, { log, metrics }), handler);
    opened.operations = await startOperations({
      endpoint: config.operations.endpoint,
      observe,
      metrics,
    });
    opened.control = await openControlSocket(
      core.ledger.directory,
      controlHandlers({ core, observe }),
    );
  } catch (error) {
    // Why the start failed is told, not what could not be ended for the same reason.
    await close(opened).catch((failure: unknown) =>
      log.warn({ error: failure }, "a part could not be ended in order"),
    );
    throw error;
  }
  return { keysCreated: keys.created, state: observe, close: () => close(opened) };
}

interface Preparing {
  readonly policy: AuditPolicy;
  readonly keys: KeyRing;
  readonly log: Log;
}

async function openPreparer(config: Config, { policy, keys, log }: Preparing): Promise<Preparer> {
  const { workers: count } = config.service;
  if (count === 0) return inlinePreparer(policy);
  return openThreads({ count, data: policyParts(config, keys), log });
}

function addressesOf(config: Config): Address[] {
  const { grpc, http } = receiverOptions(config);
  return [
    ...(grpc === undefined ? [] : [addressOf(grpc, "grpc")]),
    ...(http === undefined ? [] : [addressOf(http, "http")]),
    operationsAddress(config.operations.endpoint),
  ];
}

interface Telling {
  readonly log: Log;
  readonly metrics: Metrics;
}

function receiving(
  config: Config,
  { log, metrics }: Telling,
): Parameters<typeof startReceivers>[0] {
  const limited = limitedLog(log);
  return {
    ...receiverOptions(config),
    now: () => systemClock.wallUnixNano(),
    log: ({ level, message, cause, ...fields }: IngestLogEntry) =>
      limited[level](cause === undefined ? fields : { ...fields, error: cause }, message),
    onRequest: (event) => metrics.request(event),
    onClosed: (event) => metrics.connectionClosed(event),
  };
}

function stateOf(
  config: Config,
  { ledger, publisher, forwarder, unsent, keys }: Readonly<Core>,
  { opened, startedAt }: { readonly opened: Opened; readonly startedAt: string },
): SidecarState {
  const { state, reason, size, chainCount, queuedRequests, queuedBytes, checkpointSize } =
    ledger.status();
  const sink = sinkName(config);
  return {
    pid: process.pid,
    startedAt,
    draining: opened.draining,
    ledger: {
      state,
      reason,
      directory: resolve(ledger.directory),
      origin: ledger.origin,
      size,
      chainCount,
      queuedRequests,
      queuedBytes,
      checkpointSize,
    },
    publish: { ...publisher.status(), bucket: resolve(config.publish.bucket) },
    ...(sink === undefined || forwarder === undefined
      ? {}
      : { forward: { sink, signals: forwarder.status() } }),
    unsent,
    endpoints: endpointsOf(opened),
    publicKey: publicVkeys(ledger.origin, keys).at(-1) ?? "",
  };
}

function endpointsOf({ receivers, operations }: Opened): Record<string, string> {
  const named: Record<string, string> = {};
  for (const name of ["grpc", "http"] as const) {
    const bound = receivers?.[name];
    if (bound === undefined) continue;
    named[name] = formatEndpoint({ host: bound.address, port: bound.port });
  }
  if (operations !== undefined) named["operations"] = formatEndpoint(operations.endpoint);
  return named;
}

/** Each is ended, whatever a failing disk made of those before it. @throws the first failure */
async function close(opened: Opened): Promise<void> {
  opened.draining = true;
  const failures: unknown[] = [];
  const end = (closing: Promise<unknown> | undefined): Promise<unknown> | undefined =>
    closing?.catch((error: unknown) => failures.push(error));
  await end(opened.receivers?.close(drainReceiversMsMax));
  await end(opened.preparer?.close());
  await end(opened.control?.close());
  await end(opened.core?.close(drainSinkMsMax));
  // Last, so that health and readiness can be watched to the end.
  const late = delay(drainSinkMsMax, undefined, { ref: false });
  await Promise.race([end(opened.operations?.close()), late]);
  if (failures.length > 0) throw failures[0];
}
