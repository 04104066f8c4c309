/** What a command reads from standard input, bounded. */
import { createInterface } from "node:readline";
import { requestBytesMax } from "../limits.ts";
import { CommandError, exitCodes } from "./errors.ts";

/** Standard input to its end. @throws CommandError beyond the size of one request */
export async function readInput(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > requestBytesMax) {
      throw new CommandError(`the input is larger than ${requestBytesMax} bytes`, {
        hint: "split it, or give lines with --jsonl where the command takes them",
        exitCode: exitCodes.cannotTell,
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Standard input line by line, numbered from 1; empty lines are left out. */
export async function* inputLines(): AsyncGenerator<{ number: number; text: string }> {
  let number = 0;
  for await (const text of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    number++;
    if (text.trim() !== "") yield { number, text };
  }
}

/** A whole number of an option, in decimal digits. @throws CommandError for anything else */
export function parseCount(
  text: string,
  option: string,
  words: { readonly of: string; readonly max?: number; readonly hint: string },
): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (count <= (words.max ?? Number.MAX_SAFE_INTEGER)) return count;
  throw new CommandError(`${option} ${text} is no number of ${words.of}`, {
    hint: words.hint,
    exitCode: exitCodes.cannotTell,
  });
}
