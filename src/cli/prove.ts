/** `spanseal prove` */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Argument, Option } from "commander";
import type { Command } from "commander";
import { isCode } from "../bytes/thrown.ts";
import { toHex } from "../bytes/hex.ts";
import { parseCheckpoint } from "../ledger/checkpoint.ts";
import { nodeFiles } from "../ledger/files.ts";
import { proveRecord } from "../ledger/record-proof.ts";
import { TileFiles } from "../ledger/tile-files.ts";
import { CommandError, exitCodes } from "./errors.ts";
import { findByIdOrIndex } from "./find.ts";
import { locateLedger, withLocation } from "./locate.ts";
import type { LocationOptions } from "./locate.ts";
import { print, printJson, say } from "./output.ts";

interface ProveOptions extends LocationOptions {
  readonly output?: string;
}

export function register(program: Command): void {
  withLocation(program.command("prove"))
    .description("prove that a record is in the log, by its newest signed root (C2SP tlog-proof)")
    .addArgument(new Argument("<record>", "its id or its index"))
    .addOption(new Option("-o, --output <file>", "write the proof there instead of stdout"))
    .addHelpText(
      "after",
      `
The proof shows the record's head (chain, order, time) and nothing of its content. Whoever has it
and the log's public key can check it with spanseal check-proof, or with any tool that reads
c2sp.org/tlog-proof.

Examples:
  spanseal prove 42 -o record-42.tlog-proof
  spanseal prove 3f2a9c0d5b6e4f708192a3b4c5d6e7f8 | spanseal check-proof -
`,
    )
    .action(prove);
}

async function prove(wanted: string, options: ProveOptions): Promise<void> {
  const directory = await locateLedger(options);
  const records = await findByIdOrIndex(directory, wanted);
  if (records.length > 1) {
    throw new CommandError(`${records.length} records have the id ${wanted}`, {
      hint: `name one by its index: ${records.map(({ head }) => head.index).join(", ")}`,
      exitCode: exitCodes.cannotTell,
    });
  }
  const [record] = records;
  const checkpoint = await readCheckpoint(directory);
  const { size } = parseCheckpoint(checkpoint);
  if (record!.head.index >= size) throw notCovered(record!.head.index, size);
  const tiles = new TileFiles(directory, nodeFiles);
  const proof = await proveRecord(record!, checkpoint, (treeSize) => tiles.subtrees(treeSize));
  if (options.output !== undefined) await writeFile(options.output, proof);
  const { head } = record!;
  if (options.json === true) {
    const text = Buffer.from(proof).toString();
    printJson({ id: toHex(head.id), index: head.index, size, proof: text });
  } else if (options.output === undefined) print(Buffer.from(proof).toString());
  else say(`record ${head.index} is in the signed tree of ${size} records: ${options.output}\n`);
}

async function readCheckpoint(directory: string): Promise<Uint8Array> {
  try {
    return await nodeFiles.read(join(directory, "checkpoint"));
  } catch (error) {
    if (isCode(error, "ENOENT")) throw notCovered(undefined, 0);
    throw error;
  }
}

function notCovered(index: number | undefined, size: number): CommandError {
  const what = index === undefined ? "the log has no signed root yet" : `record ${index} is newer`;
  const than = index === undefined ? "" : ` than the newest signed root, of ${size} records`;
  return new CommandError(`${what}${than}`, {
    hint: "sign one now with spanseal publish",
    exitCode: exitCodes.no,
  });
}
