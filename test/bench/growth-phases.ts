/** What is measured of a grown ledger; one call is the life of one process. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { parseDescriptor, fullOrigin } from "../../src/ledger/descriptor.ts";
import { directorySource } from "../../src/ledger/directory-source.ts";
import { nodeFiles, type Files } from "../../src/ledger/files.ts";
import { openKeys, publicVkeys } from "../../src/ledger/keys.ts";
import { parseVkey } from "../../src/ledger/note.ts";
import { readRecord, readRecords } from "../../src/ledger/read.ts";
import { verifyLedger, type VerifyOptions } from "../../src/ledger/verify/verify.ts";
import { madeBatches } from "./made-batches.ts";
import { openBenchLedger } from "./bench-ledger.ts";
import { cpuMicrosSince } from "./stages.ts";

interface Settings {
  readonly records: number;
  readonly tenants: number;
  readonly bodyBytes: number;
}

type Measured = Record<string, number>;

/** Batches that one group commit finds. */
const batchesPerGroup = 4;
/** Records that a killed process leaves behind its last checkpoint: nearly the most there can be. */
const tailRecords = 60_000;

export type Phase = keyof typeof phases;

export const phases = {
  "build, then kill": build,
  "start after a kill": startAndClose,
  "start after an orderly end": start,
  "verify with MACs": (folder: string) => verify(folder, true),
  "verify without chain key": (folder: string) => verify(folder, false),
  "query a hundredth by time": query,
} as const satisfies Record<string, (folder: string, settings: Settings) => Promise<Measured>>;

async function build(folder: string, settings: Settings): Promise<Measured> {
  const { ledger } = await openBenchLedger(folder);
  const make = madeBatches(settings.bodyBytes, settings.tenants);
  const append = async (records: number): Promise<void> => {
    while (ledger.size < records) {
      const batches = Array.from({ length: batchesPerGroup }, make);
      await Promise.all(batches.map((batch) => ledger.append(batch)));
    }
  };
  const tail = Math.min(tailRecords, settings.records / 2);
  await append(settings.records - tail);
  await ledger.checkpoint();
  const [cpu, begin, first] = [process.cpuUsage(), performance.now(), ledger.size];
  await append(settings.records);
  const count = ledger.size - first;
  return {
    "records/s with making them": (count * 1000) / (performance.now() - begin),
    "CPU µs per record with making it": cpuMicrosSince(cpu) / count,
  };
}

/** The longest turn of the event loop by its CPU time, which a busy machine does not stretch. */
async function longestTurnMs(action: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let before = process.threadCpuUsage();
  let next: NodeJS.Immediate;
  const look = (): void => {
    const { user, system } = process.threadCpuUsage(before);
    longest = Math.max(longest, (user + system) / 1000);
    before = process.threadCpuUsage();
    next = setImmediate(look);
  };
  next = setImmediate(look);
  await action();
  clearImmediate(next);
  return longest;
}

async function startAndClose(folder: string, settings: Settings): Promise<Measured> {
  const cpu = process.cpuUsage();
  const { ledger, startMs } = await openBenchLedger(folder);
  const startCpuMs = cpuMicrosSince(cpu) / 1000;
  // Past the next checkpoint, which seals the tips of all chains that the tail moved.
  const make = madeBatches(settings.bodyBytes, settings.tenants);
  const batches = Array.from({ length: 20 }, make);
  const appendMs = await longestTurnMs(async () => {
    for (const batch of batches) await ledger.append(batch);
  });
  const checkpointMs = await longestTurnMs(() => ledger.checkpoint());
  await ledger.close();
  return {
    "start, ms": startMs,
    "start, CPU ms": startCpuMs,
    "commits and the checkpoint due, longest turn, CPU ms": appendMs,
    "checkpoint, longest turn, CPU ms": checkpointMs,
  };
}

async function start(folder: string): Promise<Measured> {
  const cpu = process.cpuUsage();
  const { startMs } = await openBenchLedger(folder);
  return { "start, ms": startMs, "start, CPU ms": cpuMicrosSince(cpu) / 1000 };
}

async function verify(folder: string, hasKeys: boolean): Promise<Measured> {
  const directory = join(folder, "ledger");
  const sources = { files: nodeFiles, randomBytes };
  const keys = await openKeys(join(folder, "keys"), sources, { create: false });
  const source = directorySource(directory);
  const origin = fullOrigin(parseDescriptor(await source.descriptor()));
  const trusted = publicVkeys(origin, keys).map(parseVkey);
  const options: VerifyOptions = {
    trusted,
    ...(hasKeys && { chainKey: (epoch: number) => keys.chainKey(epoch) }),
  };
  const [cpu, begin] = [process.cpuUsage(), performance.now()];
  const { counts, failures } = await verifyLedger(source, options);
  if (failures.length > 0) throw new Error(`a sound ledger fails: ${JSON.stringify(failures[0])}`);
  const micros = cpuMicrosSince(cpu);
  return {
    "records/s of one core": (counts.records * 1e6) / micros,
    "CPU µs per record": micros / counts.records,
    "s by the clock": (performance.now() - begin) / 1000,
  };
}

async function query(folder: string, settings: Settings): Promise<Measured> {
  const directory = join(folder, "ledger");
  const first = await readRecord(directory, Math.floor(settings.records / 2));
  const last = await readRecord(directory, Math.floor(settings.records * 0.51));
  const range = { fromTime: BigInt(first!.head.time), toTime: BigInt(last!.head.time) };
  let bytes = 0;
  const files: Files = {
    ...nodeFiles,
    async readRange(path, position, byteCount) {
      const read = await nodeFiles.readRange(path, position, byteCount);
      bytes += read.length;
      return read;
    },
  };
  const begin = performance.now();
  let [found, foundBytes] = [0, 0];
  for await (const record of readRecords(directory, range, files)) {
    found++;
    foundBytes += record.lineBytes + 1;
  }
  return {
    "records found": found,
    "their bytes": foundBytes,
    "bytes read": bytes,
    ms: performance.now() - begin,
  };
}
