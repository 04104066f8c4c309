/** What the stages cost that write: log and spool on a real disk, with fdatasync; and the verifier. */
import { join } from "node:path";
import type { PreparedBatch } from "../../src/audit/prepared-batch.ts";
import { Spool } from "../../src/forward/spool.ts";
import { directorySource } from "../../src/ledger/directory-source.ts";
import { nodeFiles } from "../../src/ledger/files.ts";
import { publicVkeys } from "../../src/ledger/keys.ts";
import type { KeyRing } from "../../src/ledger/keys.ts";
import type { Ledger } from "../../src/ledger/ledger.ts";
import { parseVkey } from "../../src/ledger/note.ts";
import { verifyLedger } from "../../src/ledger/verify/verify.ts";
import { spoolCacheBytesMax, spoolSegmentBytesMax } from "../../src/limits.ts";
import { UniqueSpans } from "../support/unique-spans.ts";
import { prepareWith, redaction, requestsOf, spansPerRequest } from "./requests.ts";
import type { Size } from "./sizes.ts";
import { openBenchLedger } from "./bench-ledger.ts";
import { cpuMicrosSince } from "./stages.ts";
import type { Measured, StageOptions } from "./stages.ts";

/** Senders' requests that one group commit usually finds. */
const requestsPerGroup = 4;

/** @param folder an empty one; what is written stays there */
export async function measureDiskStages(
  folder: string,
  options: StageOptions,
): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (const size of options.sizes) {
    const { ledger, keys } = await openBenchLedger(join(folder, size.replace(" ", "-")));
    measured.push(await committing(size, ledger, options));
    await ledger.close();
    if (size !== "880 B") continue;
    measured.push(await spooling(join(folder, "spool"), options));
    measured.push(...(await verifying(ledger, keys, options)));
  }
  return measured;
}

/** Batches of spans that were never sent before. */
function batchMaker(size: Size): {
  bytesPerSpan: number;
  make: (count: number) => PreparedBatch[];
} {
  const { bodies, bytesPerSpan } = requestsOf(size, 0.02);
  const spans = new UniqueSpans(bodies[0]!, "trace");
  const prepared = prepareWith(redaction);
  let next = 1n;
  const makeOne = (): PreparedBatch => {
    const batch = prepared(spans.stamped(next));
    next += BigInt(spansPerRequest);
    return batch;
  };
  return { bytesPerSpan, make: (count) => Array.from({ length: count }, makeOne) };
}

async function committing(
  size: Size,
  ledger: Ledger,
  { runs, rounds, warmUpRounds }: StageOptions,
): Promise<Measured> {
  const { bytesPerSpan, make } = batchMaker(size);
  const append = async (batches: readonly PreparedBatch[]): Promise<void> => {
    for (let at = 0; at < batches.length; at += requestsPerGroup) {
      const group = batches.slice(at, at + requestsPerGroup);
      await Promise.all(group.map((batch) => ledger.append(batch)));
    }
  };
  await append(make(warmUpRounds));
  const cpuMicros: number[] = [];
  for (let run = 0; run < runs; run++) {
    const batches = make(rounds);
    const before = process.cpuUsage();
    await append(batches);
    cpuMicros.push(cpuMicrosSince(before) / (rounds * spansPerRequest));
  }
  return { stage: `commit to the log, ${size}`, cpuMicros, bytesPerSpan, unit: "spans" };
}

/** Staged, committed and taken from memory, as where the sink keeps up. */
async function spooling(
  directory: string,
  { runs, rounds, warmUpRounds }: StageOptions,
): Promise<Measured> {
  const spool = await Spool.open({
    signal: "traces",
    directory,
    files: nodeFiles,
    segmentBytesMax: spoolSegmentBytesMax,
    cacheBytesMax: spoolCacheBytesMax,
  });
  await spool.recover(0);
  const { bytesPerSpan, make } = batchMaker("880 B");
  const [batch] = make(1);
  const never = new AbortController().signal;
  let size = 0;
  const pass = async (count: number): Promise<void> => {
    for (let at = 0; at < count; at += requestsPerGroup) {
      const group = size;
      const entries = Array.from({ length: requestsPerGroup }, () => {
        const first = size;
        size += spansPerRequest;
        return { signal: "traces", bytes: batch!.forward, first, end: size } as const;
      });
      await spool.stage(entries, { stage: at, group, stagedUnixMs: Date.now() });
      spool.commit(size);
      while (spool.queueEntries > 0) spool.done((await spool.head(never))!);
    }
    await spool.save();
  };
  await pass(warmUpRounds);
  const cpuMicros: number[] = [];
  for (let run = 0; run < runs; run++) {
    const before = process.cpuUsage();
    await pass(rounds);
    cpuMicros.push(cpuMicrosSince(before) / (rounds * spansPerRequest));
  }
  await spool.close();
  return { stage: "spool for the sink, 880 B", cpuMicros, bytesPerSpan, unit: "spans" };
}

async function verifying(
  ledger: Ledger,
  keys: KeyRing,
  { runs }: StageOptions,
): Promise<Measured[]> {
  const trusted = publicVkeys(ledger.origin, keys).map(parseVkey);
  const chainKey = (epoch: number): Uint8Array | undefined => keys.chainKey(epoch);
  const measure = async (
    stage: string,
    options: Parameters<typeof verifyLedger>[1],
  ): Promise<Measured> => {
    const cpuMicros: number[] = [];
    for (let run = 0; run < runs; run++) {
      const before = process.cpuUsage();
      const { failureCount, failures } = await verifyLedger(
        directorySource(ledger.directory),
        options,
      );
      if (failureCount > 0) throw new Error(`a sound ledger fails: ${JSON.stringify(failures[0])}`);
      cpuMicros.push(cpuMicrosSince(before) / ledger.size);
    }
    return { stage, cpuMicros, bytesPerSpan: 0, unit: "records" };
  };
  return [
    await measure("verify with MACs", { trusted, chainKey }),
    await measure("verify without chain key", { trusted }),
  ];
}
