/** `spanseal publish` */
import type { Command } from "commander";
import type { JsonValue } from "../bytes/canonical-json.ts";
import { locate, locateLedger, withLocation } from "./locate.ts";
import type { LocationOptions } from "./locate.ts";
import { printFields, printJson, textOf } from "./output.ts";

export function register(program: Command): void {
  withLocation(program.command("publish"))
    .description("sign a root of the log now and commit it to the bucket")
    .addHelpText(
      "after",
      `
Works through the running sidecar, or on the ledger itself where none runs.

Examples:
  spanseal publish                        before handing the bucket to an auditor
  spanseal publish --json | jq .size      the size that is now covered
`,
    )
    .action(async (options: LocationOptions) => {
      await locateLedger(options);
      const { operate } = await import("../service/operate.ts");
      const result = await operate(locate(options), "publish", null);
      if (options.json === true) printJson(result);
      else printPublished(result);
    });
}

function printPublished(result: JsonValue): void {
  printFields([
    ["records", textOf(result, "size")],
    ["root", textOf(result, "root")],
    ["bucket", textOf(result, "bucket")],
  ]);
}
