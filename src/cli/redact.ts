/** `spanseal redact` */
import { Option } from "commander";
import type { Command } from "commander";
import type { RedactionPolicy } from "../audit/redact/policy.ts";
import { redactText } from "../audit/redact/text.ts";
import type { RedactedText } from "../audit/redact/text.ts";
import type { JsonValue } from "../bytes/canonical-json.ts";
import { locateAuditPolicy } from "./audit-policy.ts";
import { CommandError, exitCodes } from "./errors.ts";
import { inputLines, readInput } from "./input.ts";
import { withLocation } from "./locate.ts";
import type { LocationOptions } from "./locate.ts";
import { print, printJson, say } from "./output.ts";

interface RedactOptions extends LocationOptions {
  readonly jsonl?: true;
  readonly key?: string;
}

export function register(program: Command): void {
  withLocation(program.command("redact"))
    .description("show what the redaction rules do to a text; reads stdin, changes nothing")
    .addOption(new Option("--key <key>", "treat the text as the value of this attribute"))
    .addOption(new Option("--jsonl", "one JSON object a line: {id, text, key?}"))
    .addHelpText(
      "after",
      `
The redacted text goes to stdout, what was found to stderr. With --json stdout is one object
{redacted, findings}; with --jsonl one object {id, redacted, findings} for each line. A finding is
{rule, class, action, start, end} with offsets in UTF-16 units of the input.

Examples:
  echo 'write to jane@example.com' | spanseal redact
  echo '4711' | spanseal redact --key patient.mrn --json
  spanseal redact --jsonl --config spanseal.yaml < samples.jsonl
`,
    )
    .action(redact);
}

async function redact(options: RedactOptions): Promise<void> {
  const { redaction } = await locateAuditPolicy(options);
  if (options.jsonl === true) {
    for await (const line of inputLines()) printJson(redactLine(line, redaction));
    return;
  }
  const text = (await readInput()).toString();
  const context = options.key === undefined ? {} : { key: options.key };
  const result = redactText(text, redaction, context);
  if (options.json === true) {
    printJson({ redacted: result.text, findings: findingsOf(result) });
    return;
  }
  print(result.text);
  for (const { rule, class: what, action, start, end } of result.findings) {
    say(`${start}-${end}: ${what} (rule ${rule}, ${action})\n`);
  }
}

function redactLine(line: { number: number; text: string }, policy: RedactionPolicy): JsonValue {
  const { id, text, key } = parseLine(line);
  const result = redactText(text, policy, key === undefined ? {} : { key });
  return { id, redacted: result.text, findings: findingsOf(result) };
}

function parseLine(line: { number: number; text: string }): {
  id: JsonValue;
  text: string;
  key: string | undefined;
} {
  const value = parseObject(line.text);
  const { id = null, text, key } = value ?? {};
  if (typeof text !== "string" || (key !== undefined && typeof key !== "string")) {
    throw new CommandError(`line ${line.number} is not a JSON object with a text`, {
      hint: 'expected {"id": …, "text": "…", "key": "…"} on every line; key may be left out',
      exitCode: exitCodes.cannotTell,
    });
  }
  return { id, text, key };
}

function parseObject(text: string): Record<string, JsonValue> | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, JsonValue>) : undefined;
  } catch {
    return undefined;
  }
}

function findingsOf({ findings }: RedactedText): JsonValue {
  return findings.map((finding) => ({ ...finding }));
}
