/** Data goes to stdout, everything else to stderr. */
import { isCode } from "../bytes/thrown.ts";
import type { JsonValue } from "../bytes/canonical-json.ts";
import { writeAll } from "../service/write-all.ts";

const stdout = 1;
const stderr = 2;

/**
 * Text for stdout, whole. A reader that has gone (`| head`) ends the process quietly, with the exit
 * code as it is set by then: a command that judges sets it before it prints.
 */
export function print(text: string): void {
  writeTo(stdout, text);
}

/** One JSON value as one line on stdout. */
export function printJson(value: JsonValue): void {
  print(`${JSON.stringify(value)}\n`);
}

/** Lines of `name  value`, aligned; values that are undefined are left out. */
export function printFields(fields: readonly (readonly [string, string | undefined])[]): void {
  print(formatFields(fields));
}

/** One line for a person, whatever is in it. */
export function printLine(text: string): void {
  print(`${visible(text)}\n`);
}

/** Control characters of a sender, or of a folder that was made to mislead, reach no terminal. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, "\u{fffd}");
}

function formatFields(fields: readonly (readonly [string, string | undefined])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields
    .flatMap(([name, value]) =>
      value === undefined ? [] : [`${name.padEnd(width)}  ${visible(value)}\n`],
    )
    .join("");
}

/** A member of an answer as text; nothing where it is no plain value. */
export function textOf(answer: JsonValue, member: string): string | undefined {
  if (typeof answer !== "object" || answer === null || !(member in answer)) return undefined;
  const value = (answer as Readonly<Record<string, JsonValue | undefined>>)[member];
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

/** A message for the person at the terminal, if there still is one. */
export function say(text: string): void {
  writeTo(stderr, text);
}

function writeTo(descriptor: number, text: string): void {
  try {
    writeAll(descriptor, Buffer.from(text));
  } catch (error) {
    // Of what cannot be said nobody can be told.
    if (descriptor === stderr) return;
    if (!isCode(error, "EPIPE")) throw error;
    process.exit();
  }
}
