/** Data goes to stdout, everything else to stderr. */
import { writeSync } from "node:fs";
import type { JsonValue } from "../bytes/canonical-json.ts";

const stdout = 1;
const stderr = 2;

/**
 * Text for stdout, whole. A reader that has gone (`| head`) ends the process quietly, with the exit
 * code as it is set by then: a command that judges sets it before it prints.
 */
export function print(text: string): void {
  writeAll(stdout, text);
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
  writeAll(stderr, text);
}

function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text);
  let written = 0;
  while (written < bytes.length) {
    try {
      written += writeSync(descriptor, bytes, written);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "EPIPE" && descriptor === stderr) return;
      if (code === "EPIPE") process.exit();
      // A pipe that is full in non-blocking mode: the reader is slow, not gone.
      if (code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
