/** What a running sidecar does for the command line, and what a command does by itself. */
import { randomBytes } from "node:crypto";
import { addChainKey, addLogKey, openKeys } from "../ledger/keys.ts";
import type { KeyRing } from "../ledger/keys.ts";
import type { JsonValue } from "../bytes/canonical-json.ts";
import { toHex } from "../bytes/hex.ts";
import { parseCheckpoint } from "../ledger/checkpoint.ts";
import { LedgerError } from "../ledger/ledger-error.ts";
import type { ControlHandlers } from "./control-socket.ts";
import type { Core } from "./core.ts";
import type { SidecarState } from "./state.ts";

export interface CommandParts {
  readonly core: Core;
  readonly observe?: () => SidecarState;
}

/** By name; the same for the control socket and for a command without a sidecar. */
export function controlHandlers({ core, observe }: CommandParts): ControlHandlers {
  let rotated: Promise<unknown> = Promise.resolve();
  /** One after another: two at once would both take the number of the next key. */
  const rotateInTurn = (kind: KeyKind): Promise<JsonValue> => {
    const result = rotated.then(() => rotate(core, kind));
    rotated = result.catch(() => undefined);
    return result;
  };
  return new Map<string, (argument: JsonValue) => Promise<JsonValue>>([
    ["status", async () => JSON.parse(JSON.stringify(observe?.() ?? null)) as JsonValue],
    ["publish", () => publish(core)],
    ["rotate", async (argument) => rotateInTurn(whichKey(argument))],
  ]);
}

async function publish({ publisher }: Core): Promise<JsonValue> {
  const { size, note } = await publisher.publishNow();
  const { root } = parseCheckpoint(note);
  return { size, root: toHex(root), bucket: publisher.status().bucket };
}

type KeyKind = "chain" | "log";

function whichKey(argument: JsonValue): KeyKind {
  const which = typeof argument === "object" && argument !== null ? argument : {};
  const kind = "which" in which ? which.which : undefined;
  if (kind === "chain" || kind === "log") return kind;
  throw new Error("expected which key to rotate: chain or log");
}

/**
 * The new key is on disk before the record that names it; where the record cannot be written, the
 * key is there unused, and the next rotation goes over to it.
 */
async function rotate(core: Core, kind: KeyKind): Promise<JsonValue> {
  // A root is signed by the key in force and the one before it: who sees the bucket alone follows
  // from key to key only where a root that each key signed gets there before the next one comes.
  if (kind === "log") await core.publisher.queueRoot();
  const { directory } = core.keys;
  const folder = { files: core.files, randomBytes };
  const goOver = async (keys: KeyRing): Promise<JsonValue> => {
    const { ledger } = core;
    const { index, from, to } = await (kind === "chain"
      ? ledger.rotateChainKey(keys)
      : ledger.rotateLogKey(keys));
    core.keys = keys;
    return { index, from, to };
  };
  try {
    return await goOver(await openKeys(directory, folder, { create: false }));
  } catch (error) {
    if (!(error instanceof LedgerError) || error.code !== "missing_key") throw error;
    const add = kind === "chain" ? addChainKey : addLogKey;
    return goOver(await add(directory, folder));
  }
}
