/** A command that appends: through the running sidecar, or on the ledger itself where none runs. */
import type { JsonValue } from "../bytes/canonical-json.ts";
import { LedgerError } from "../ledger/ledger-error.ts";
import { drainSinkMsMax } from "../limits.ts";
import type { LoadedConfig } from "./config.ts";
import { ControlError } from "./control-error.ts";
import { controlHandlers } from "./control-commands.ts";
import { askSidecar } from "./control-socket.ts";
import { openCore } from "./core.ts";
import { openKeysOf } from "./keys.ts";
import { openLog } from "./log.ts";
import { auditPolicy } from "./policy.ts";
import { pooledRandomBytes } from "./random.ts";

/**
 * Runs `command` with `argument`.
 *
 * @throws ControlError, SidecarRefusal with what the sidecar says, or what the command itself throws
 */
export async function operate(
  loaded: LoadedConfig,
  command: string,
  argument: JsonValue,
): Promise<JsonValue> {
  try {
    return await askSidecar(loaded.config.ledger.directory, command, argument);
  } catch (error) {
    if (!(error instanceof ControlError) || error.code !== "no_sidecar") throw error;
  }
  return operateAlone(loaded, command, argument);
}

async function operateAlone(
  { config }: LoadedConfig,
  command: string,
  argument: JsonValue,
): Promise<JsonValue> {
  const { log, flush } = openLog("error");
  const keys = await openKeysOf(config, { create: false });
  const { redaction } = auditPolicy({ config, keys, randomBytes: pooledRandomBytes() });
  const core = await openCore({ config, log, keys, redaction });
  try {
    const handler = controlHandlers({ core }).get(command);
    if (handler === undefined) throw new LedgerError("foreign", `unknown command ${command}`);
    return await handler(argument);
  } finally {
    await core.close(drainSinkMsMax);
    flush();
  }
}
