/**
 * What the files that a configuration names hold, and what the exporter makes of its options. Looked
 * at before a start creates anything, and by `config check`.
 */
import { SinkOptionError } from "../../forward/forward-error.ts";
import { openSink } from "../../forward/open-sink.ts";
import { readTokens } from "../../ingest/authentication.ts";
import { ReceiverError } from "../../ingest/receiver-error.ts";
import type { Endpoint } from "../../ingest/receivers.ts";
import { loadTls } from "../../ingest/tls-files.ts";
import { systemClock } from "../../ledger/clock.ts";
import { nodeFiles } from "../../ledger/files.ts";
import type { LoadedConfig } from "../config.ts";
import { receiverOptions } from "../receiving.ts";
import { sinkOptions } from "../sink.ts";
import type { Config } from "./model.ts";
import type { PlacedProblem } from "./problems.ts";

/** @throws ConfigError with every problem found. */
export async function checkFiles(loaded: LoadedConfig): Promise<void> {
  const { config } = loaded;
  const { grpc, http } = receiverOptions(config);
  const found = await Promise.all([
    checkReceiver("grpc", grpc),
    checkReceiver("http", http),
    checkSink(config),
  ]);
  const problems = found.flat();
  if (problems.length > 0) throw loaded.refused(problems);
}

async function checkReceiver(
  protocol: "grpc" | "http",
  endpoint: Endpoint | undefined,
): Promise<PlacedProblem[]> {
  const { tls, auth } = endpoint ?? {};
  const place = ["receivers", "otlp", "protocols", protocol];
  return [
    ...(tls === undefined ? [] : await problemOf([...place, "tls"], () => loadTls(tls))),
    ...(auth === undefined
      ? []
      : await problemOf([...place, "auth", "bearer_token_file"], () =>
          readTokens(auth.bearerTokenFile),
        )),
  ];
}

async function problemOf(
  path: readonly string[],
  use: () => Promise<unknown>,
): Promise<PlacedProblem[]> {
  try {
    await use();
    return [];
  } catch (error) {
    if (!(error instanceof ReceiverError)) throw error;
    return [{ path, message: error.message, hint: error.remedy }];
  }
}

async function checkSink(config: Config): Promise<PlacedProblem[]> {
  const options = sinkOptions(config);
  if (options === undefined) return [];
  try {
    const parts = { files: nodeFiles, clock: systemClock, log: () => undefined };
    await (await openSink({ ...parts, sink: options })).close();
    return [];
  } catch (error) {
    if (!(error instanceof SinkOptionError)) throw error;
    const exporter = options.kind === "http" ? "otlp_http" : "otlp_grpc";
    const path = ["exporters", exporter, ...error.option];
    return [{ path, message: error.fault, hint: error.remedy }];
  }
}
