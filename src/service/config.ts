/** Reads the configuration: YAML, references, schema, relations between keys. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { checkFolders, checkRelations, pathInside } from "./config/relations.ts";
import { parseYaml } from "./config/document.ts";
import type { Config } from "./config/model.ts";
import { explain } from "./config/problems.ts";
import type { JsonSchema, PlacedProblem, Problem } from "./config/problems.ts";
import { checkRedaction } from "./config/redaction.ts";
import { resolveReferences } from "./config/references.ts";
import { configSchema, defaultDataDirectory, laterKeys } from "./config/schema.ts";

export type { Problem } from "./config/problems.ts";

export interface ConfigSource {
  /** The YAML file; without it every key has its default. */
  readonly file?: string | undefined;
  /** Moves everything that the configuration keeps under `./spanseal-data`. */
  readonly dataDirectory?: string | undefined;
  /** Replaces `keys.directory`. */
  readonly keysDirectory?: string | undefined;
}

/** A configuration that holds, and what is needed to print it. */
export interface LoadedConfig {
  readonly config: Config;
  /** Places whose values came from references, with the text as written. */
  readonly written: ReadonlyMap<string, string>;
  /** What is to be thrown where these problems turn up later. */
  refused(problems: readonly PlacedProblem[]): ConfigError;
}

/** A configuration with problems: all of them at once. */
export class ConfigError extends Error {
  readonly file: string | undefined;
  readonly problems: readonly Problem[];

  constructor(file: string | undefined, problems: readonly Problem[]) {
    super(`${problems.length} problem(s) in the configuration`);
    this.name = "ConfigError";
    this.file = file;
    this.problems = problems;
  }
}

/** @throws ConfigError with every problem found. */
export function loadConfig(source: ConfigSource): LoadedConfig {
  return parseConfig(source.file === undefined ? "" : readText(source.file), source);
}

/** As `loadConfig`, of a text. `source.file` only names it. */
export function parseConfig(yaml: string, source: ConfigSource = {}): LoadedConfig {
  const document = parseYaml(yaml);
  if (document.problems.length > 0) throw new ConfigError(source.file, document.problems);
  const references = resolveReferences(document.value, {
    environment: process.env,
    readFile: (path) => readFileSync(path, "utf8"),
  });
  const parsed = configSchema.safeParse(references.value);
  const context = {
    input: references.value,
    schema: configJsonSchema(),
    later: laterKeys,
    written: references.written,
  };
  const problems = [
    ...references.failures,
    ...explain(parsed.error?.issues ?? [], context).filter(
      // A reference that failed left an empty text: what that text breaks is not another problem.
      ({ path }) => !references.failures.some((failure) => failure.path.join() === path.join()),
    ),
    ...checkRelations(references.value),
    ...checkRedaction(references.value, references.written),
  ];
  const config = parsed.data && relocate(parsed.data, source);
  if (config !== undefined) problems.push(...checkFolders(config));
  const refused = (found: readonly PlacedProblem[]): ConfigError => {
    const located = found.map(document.locate);
    const byLine = located.toSorted((left, right) => (left.line ?? 0) - (right.line ?? 0));
    return new ConfigError(source.file, byLine);
  };
  if (config === undefined || problems.length > 0) throw refused(problems);
  return { config, written: references.written, refused };
}

/** JSON Schema of the file, with a description for every key. */
export function configJsonSchema(): JsonSchema {
  return z.toJSONSchema(configSchema, { io: "input" }) as JsonSchema;
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw new ConfigError(undefined, [
      {
        path: "",
        message: `cannot read the configuration file ${file} (${code})`,
        hint: "give the path of a YAML file with --config, or none for the defaults",
      },
    ]);
  }
}

function relocate(config: Config, source: ConfigSource): Config {
  const moved = (path: string): string => {
    if (source.dataDirectory === undefined) return path;
    const inside = pathInside(defaultDataDirectory, path);
    return inside === undefined ? path : join(source.dataDirectory, inside);
  };
  return {
    ...config,
    ledger: { ...config.ledger, directory: moved(config.ledger.directory) },
    publish: { ...config.publish, bucket: moved(config.publish.bucket) },
    keys: { directory: source.keysDirectory ?? config.keys.directory },
  };
}
