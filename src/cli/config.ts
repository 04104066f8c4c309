/** `spanseal config check|schema|print` */
import { Option } from "commander";
import type { Command } from "commander";
import type { JsonValue } from "../bytes/canonical-json.ts";
import { ConfigError, configJsonSchema } from "../service/config.ts";
import { effectiveConfig, formatConfig } from "../service/config/print.ts";
import { exitCodes, explainFailure, formatFailure } from "./errors.ts";
import { locate, withLocation } from "./locate.ts";
import type { LocationOptions } from "./locate.ts";
import { print, printJson, say } from "./output.ts";

export function register(program: Command): void {
  const config = program
    .command("config")
    .description("check, explain and print the configuration")
    .addHelpText(
      "after",
      `
Examples:
  spanseal config check --config spanseal.yaml     all problems at once, exit code 1 if any
  spanseal config print                            every key with its default
  spanseal config schema > spanseal.schema.json    for the completion of an editor
`,
    );
  withLocation(config.command("check"))
    .description("say what is wrong with the configuration; exit code 0 if nothing is")
    .action(check);
  config
    .command("schema")
    .description("print the JSON Schema of the configuration, a description for every key")
    .addOption(new Option("--json", "the same: a schema is JSON"))
    .action(() => print(`${JSON.stringify(configJsonSchema(), undefined, 2)}\n`));
  withLocation(config.command("print"))
    .description("print what is in force, defaults included, secrets hidden")
    .action((options: LocationOptions) => {
      const loaded = locate(options);
      if (options.json === true) printJson(effectiveConfig(loaded) as JsonValue);
      else print(formatConfig(loaded));
    });
}

async function check(options: LocationOptions): Promise<void> {
  const problems = await problemsOf(options);
  if (problems !== undefined) process.exitCode = exitCodes.no;
  if (options.json === true) {
    printJson({
      ok: problems === undefined,
      problems: (problems?.problems ?? []).map((problem) => ({ ...problem })),
    });
  } else if (problems === undefined) {
    say("the configuration is good\n");
  } else {
    say(formatFailure(explainFailure(problems)));
  }
}

async function problemsOf(options: LocationOptions): Promise<ConfigError | undefined> {
  try {
    // Loaded here, so that the other commands start without receivers and clients.
    const { checkFiles } = await import("../service/config/files.ts");
    await checkFiles(locate(options));
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}
