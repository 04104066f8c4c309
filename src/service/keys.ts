/** The key folder of a configuration, and when new keys may be made. */
import { randomBytes } from "node:crypto";
import { descriptorName } from "../ledger/directory.ts";
import { nodeFiles } from "../ledger/files.ts";
import type { Files } from "../ledger/files.ts";
import { KeyError, openKeys } from "../ledger/keys.ts";
import type { KeyRing } from "../ledger/keys.ts";
import type { Config } from "./config/model.ts";

/**
 * The keys that the configuration names. New ones are for a new ledger only: they could not go on with one that others have begun.
 *
 * @throws KeyError `missing` where there are none and the ledger is there already
 */
export async function openKeysOf(
  config: Config,
  { create, files = nodeFiles }: { readonly create: boolean; readonly files?: Files },
): Promise<KeyRing> {
  const { directory } = config.ledger;
  const exists = (await files.list(directory)).includes(descriptorName);
  try {
    const folder = { files, randomBytes };
    return await openKeys(config.keys.directory, folder, { create: create && !exists });
  } catch (error) {
    if (!exists || !(error instanceof KeyError) || error.code !== "missing") throw error;
    throw new KeyError(
      "missing",
      `there are no keys in ${config.keys.directory}, but the ledger ${directory} needs its own`,
      { remedy: "restore the folder from its backup, or name it with --keys" },
    );
  }
}
