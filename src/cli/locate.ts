/** Where a command finds configuration, ledger and keys. */
import { randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import { isCode } from "../bytes/thrown.ts";
import { directorySource } from "../ledger/directory-source.ts";
import { nodeFiles } from "../ledger/files.ts";
import { fullOrigin, parseDescriptor } from "../ledger/descriptor.ts";
import type { Descriptor } from "../ledger/descriptor.ts";
import { KeyError, openKeys } from "../ledger/keys.ts";
import type { KeyRing } from "../ledger/keys.ts";
import { loadConfig } from "../service/config.ts";
import type { LoadedConfig } from "../service/config.ts";
import { CommandError, exitCodes } from "./errors.ts";

/** The options of `withLocation`, as commander yields them. */
export interface LocationOptions {
  readonly config?: string;
  readonly data?: string;
  readonly keys?: string;
  readonly json?: true;
}

/** Adds `--config`, `--data`, `--keys` and `--json` to a command. */
export function withLocation(command: Command): Command {
  return command
    .addOption(new Option("-c, --config <file>", "configuration file (YAML)"))
    .addOption(new Option("--data <dir>", "folder instead of ./spanseal-data"))
    .addOption(new Option("--keys <dir>", "folder of the keys instead of ./spanseal-keys"))
    .addOption(new Option("--json", "print JSON instead of text"));
}

/** @throws ConfigError */
export function locate(options: LocationOptions): LoadedConfig {
  return loadConfig({
    file: options.config,
    dataDirectory: options.data,
    keysDirectory: options.keys,
  });
}

/**
 * The ledger directory that a reading command means: the argument where one is given (a ledger, or
 * a folder as `--data` takes it), else what the configuration says.
 *
 * @throws CommandError where there is no ledger
 */
export async function locateLedger(options: LocationOptions, argument?: string): Promise<string> {
  const configured = argument === undefined ? locate(options).config.ledger.directory : undefined;
  const candidates = argument === undefined ? [configured!] : [argument, join(argument, "ledger")];
  for (const candidate of candidates) {
    if (await exists(join(candidate, "ledger.json"))) return candidate;
  }
  throw new CommandError(`there is no ledger in ${candidates[0]}`, {
    hint: "name it with --data or --config, or start a sidecar first: spanseal serve",
    exitCode: exitCodes.cannotTell,
  });
}

/** @throws CommandError where there is no ledger, FormatError or LedgerError where `ledger.json` is damaged */
export async function readDescriptor(
  directory: string,
): Promise<{ descriptor: Descriptor; origin: string }> {
  const descriptor = parseDescriptor(await directorySource(directory).descriptor());
  return { descriptor, origin: fullOrigin(descriptor) };
}

/** @returns undefined where the folder holds no keys; @throws KeyError where they are not in order */
export async function readKeysIfThere(directory: string): Promise<KeyRing | undefined> {
  try {
    return await openKeys(directory, { files: nodeFiles, randomBytes }, { create: false });
  } catch (error) {
    if (error instanceof KeyError && error.code === "missing") return undefined;
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isCode(error, "ENOENT") || isCode(error, "ENOTDIR")) return false;
    throw error;
  }
}
