/** Public keys as a person gives them: a verifier key in the text of an option, or a file of them. */
import { readFile } from "node:fs/promises";
import { isCode } from "../bytes/thrown.ts";
import { FormatError } from "../ledger/format-error.ts";
import { parseVkey } from "../ledger/note.ts";
import { CommandError, exitCodes } from "./errors.ts";

/** @throws CommandError naming the one that is neither a vkey nor a file of vkeys */
export async function readVkeys(given: readonly string[]): Promise<string[]> {
  const lists = await Promise.all(given.map(readOne));
  return lists.flat();
}

async function readOne(given: string): Promise<string[]> {
  if (isVkey(given)) return [given];
  const lines = await linesOf(given);
  const vkeys = lines.filter((line) => line !== "" && !line.startsWith("#"));
  const wrong = vkeys.find((line) => !isVkey(line));
  if (vkeys.length > 0 && wrong === undefined) return vkeys;
  throw new CommandError(`${given} is no verifier key and no file of verifier keys`, {
    hint: 'expected <origin>+<8 hex digits>+<base64>, as "spanseal keys public" prints it',
    exitCode: exitCodes.cannotTell,
  });
}

async function linesOf(path: string): Promise<string[]> {
  try {
    return (await readFile(path, "utf8")).split("\n").map((line) => line.trim());
  } catch (error) {
    if (isCode(error, "ENOENT") || isCode(error, "ENAMETOOLONG")) return [];
    throw error;
  }
}

function isVkey(text: string): boolean {
  try {
    parseVkey(text);
    return true;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}
