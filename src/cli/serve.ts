/** `spanseal serve` */
import { resolve } from "node:path";
import type { Command } from "commander";
import { agentEnvironment, formatBanner } from "../service/banner.ts";
import type { Sidecar } from "../service/compose.ts";
import type { Config } from "../service/config/model.ts";
import { serveUntilSignal } from "../service/lifecycle.ts";
import { openLog } from "../service/log.ts";
import { boundFullCollections, boundYoungGeneration } from "../service/heap.ts";
import { locate, withLocation } from "./locate.ts";
import type { LocationOptions } from "./locate.ts";
import { printJson, say } from "./output.ts";

export function register(program: Command): void {
  withLocation(program.command("serve"))
    .description("run the sidecar until SIGTERM or SIGINT")
    .addHelpText(
      "after",
      `
Without a configuration it receives OTLP on 127.0.0.1:4317 (gRPC) and 127.0.0.1:4318 (HTTP), keeps
ledger and bucket in ./spanseal-data and keys in ./spanseal-keys, and forwards to nobody.

--json prints one line on stdout when the sidecar is ready: its addresses, folders and public key.

Examples:
  spanseal serve
  spanseal serve --config /etc/spanseal/spanseal.yaml
  spanseal serve --data /var/lib/spanseal --keys /etc/spanseal/keys
`,
    )
    .action(serve);
}

async function serve(options: LocationOptions): Promise<void> {
  const loaded = locate(options);
  const { config } = loaded;
  // Loaded here, so that the other commands start without receivers and clients.
  const { openSidecar } = await import("../service/compose.ts");
  boundFullCollections();
  // The threads have bounds of their own.
  if (config.service.workers === 0) boundYoungGeneration();
  const processLog = openLog(config.service.telemetry.logs.level);
  await serveUntilSignal(processLog, async () => {
    const sidecar = await openSidecar(loaded, processLog.log);
    try {
      announce(sidecar, config, options);
      return sidecar;
    } catch (error) {
      await sidecar.close();
      throw error;
    }
  });
}

function announce(sidecar: Sidecar, config: Config, { json }: LocationOptions): void {
  const state = sidecar.state();
  if (json !== true) {
    say(formatBanner({ config, state, keysCreated: sidecar.keysCreated }));
    return;
  }
  printJson({
    ready: true,
    pid: process.pid,
    endpoints: state.endpoints,
    ledger: state.ledger.directory,
    bucket: state.publish.bucket,
    keys: resolve(config.keys.directory),
    public_key: state.publicKey,
    environment: agentEnvironment(config, state),
  });
}
