/** The key folder of a configuration, and when new keys may be made. */
import { randomBytes } from "node:crypto";
import { descriptorName } from "../ledger/directory.ts";
import { nodeFiles } from "../ledger/files.ts";
import { KeyError, openKeys } from "../ledger/keys.ts";
import type { KeyFolder, KeyRing } from "../ledger/keys.ts";
import type { Config } from "./config/model.ts";

export const keyFolder: KeyFolder = { files: nodeFiles, randomBytes };

/**
 * The keys that the configuration names. New ones are for a new ledger only: they could not go on with one that others have begun.
 *
 * @throws KeyError `missing` where there are none and the ledger is there already
 */
export async function openKeysOf(
  config: Config,
  { create }: { readonly create: boolean },
): Promise<KeyRing> {
  const { directory } = config.ledger;
  const exists = (await nodeFiles.list(directory)).includes(descriptorName);
  try {
    return await openKeys(config.keys.directory, keyFolder, { create: create && !exists });
  } catch (error) {
    if (!exists || !(error instanceof KeyError) || error.code !== "missing") throw error;
    throw new KeyError(
      "missing",
      `there are no keys in ${config.keys.directory}, but the ledger ${directory} needs its own: ` +
        "restore the folder from its backup, or name it with --keys",
    );
  }
}
