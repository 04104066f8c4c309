/** A process that appends until it is killed: `load.ts <ledger> <keys> <round>`. */
import { systemClock } from "../../../src/ledger/clock.ts";
import { nodeFiles } from "../../../src/ledger/files.ts";
import { openKeys } from "../../../src/ledger/keys.ts";
import { openLedger } from "../../../src/ledger/ledger.ts";
import { batch, random } from "./batch.ts";

const [directory = "", keyDirectory = "", round = ""] = process.argv.slice(2);
const folder = { files: nodeFiles, randomBytes: random };
const keys = await openKeys(keyDirectory, folder, { create: false });
const ledger = await openLedger({
  directory,
  origin: "test.local",
  keys,
  files: nodeFiles,
  clock: systemClock,
  randomBytes: random,
  opened: { mode: "soc2", publishTargets: [], sealIntervalMs: 1000, softwareVersion: "test" },
  bounds: { segmentBytesMax: 200_000, checkpointRecordsMax: 300 },
});

async function send(sender: number): Promise<never> {
  for (let at = 0; ; at++) {
    const names = [0, 1, 2, 3, 4].map((item) => `${round}/${sender}/${at}/${item}`);
    const records = names.map((name) => ({
      name,
      tenant: `tenant-${sender}`,
      text: "x".repeat(400),
    }));
    await ledger.append(batch(records));
    process.stdout.write(`${names.join(" ")}\n`);
  }
}

await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map((sender) => send(sender)));
