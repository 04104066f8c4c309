/** Data goes to stdout, everything else to stderr. */
import { writeSync } from "node:fs";
import type { JsonValue } from "../bytes/canonical-json.ts";

const stdout = 1;
const stderr = 2;

/** Text for stdout, whole. A reader that has gone (`| head`) ends the process quietly. */
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

function formatFields(fields: readonly (readonly [string, string | undefined])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name.padEnd(width)}  ${value}\n`)
    .join("");
}

/** A member of an answer as text; nothing where it is no plain value. */
export function textOf(answer: JsonValue, member: string): string | undefined {
  if (typeof answer !== "object" || answer === null || !(member in answer)) return undefined;
  const value = (answer as Readonly<Record<string, JsonValue | undefined>>)[member];
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

/** A message for the person at the terminal. */
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
      if (code === "EPIPE") process.exit(0);
      // A pipe that is full in non-blocking mode: the reader is slow, not gone.
      if (code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
