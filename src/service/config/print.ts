/** The effective configuration as YAML, with everything hidden that may be a secret. */
import { stringify } from "yaml";
import { z } from "zod";
import type { LoadedConfig } from "../config.ts";
import { isSecretPlace } from "./problems.ts";
import { placeOf } from "./references.ts";
import { configSchema } from "./schema.ts";

/**
 * What is in force, as plain data in the spelling of the file. Headers stand as `(hidden)`, other
 * values from references as they were written.
 */
export function effectiveConfig(loaded: LoadedConfig): unknown {
  return hide(z.encode(configSchema, loaded.config), [], loaded.written);
}

export function formatConfig(loaded: LoadedConfig): string {
  return stringify(effectiveConfig(loaded));
}

function hide(
  value: unknown,
  path: readonly PropertyKey[],
  written: ReadonlyMap<string, string>,
): unknown {
  if (Array.isArray(value))
    return value.map((item, index) => hide(item, [...path, index], written));
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]): [string, unknown] => [key, hide(member, [...path, key], written)]);
    return Object.fromEntries(members);
  }
  if (isSecretPlace(path)) return "(hidden)";
  return written.get(placeOf(path)) ?? value;
}
