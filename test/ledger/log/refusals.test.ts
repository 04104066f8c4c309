/** Directories that the ledger does not open, and what it says about each. */
import { spawn } from "node:child_process";
import { appendFile, cp, mkdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { once } from "node:events";
import { expect, test } from "vitest";

import {
  bodyDigest,
  deriveChainKey,
  encodeHead,
  encodeLine,
  parseLine,
  recordMac,
  systemChain,
} from "../../../src/ledger/chain.ts";
import { nodeFiles } from "../../../src/ledger/files.ts";
import { openKeys } from "../../../src/ledger/keys.ts";
import { checkLog } from "../check-log.ts";
import { batch, faultyFiles, keyFolder, open, temporaryPlace, type TestPlace } from "./support.ts";

const bounds = { segmentBytesMax: 3000 };

async function filled(records = 12): Promise<TestPlace> {
  const place = await temporaryPlace();
  const ledger = await open(place, { bounds });
  for (let at = 0; at < records; at++) {
    await ledger.append(batch([{ name: String(at) }]));
    if (at === 5) await ledger.checkpoint();
  }
  await ledger.close();
  return place;
}

const refusal = (code: string, text: RegExp): object => ({
  code,
  message: expect.stringMatching(text) as string,
});

async function segmentsOf(place: TestPlace): Promise<string[]> {
  const folder = join(place.directory, "segments");
  return (await nodeFiles.list(folder)).map((name) => join(folder, name));
}

test("a ledger in use, by this process or another", async () => {
  const place = await temporaryPlace();
  const ledger = await open(place);
  await expect(open(place)).rejects.toMatchObject(
    refusal("locked", /open in this process already/),
  );
  const program = `
    import { lockDirectory } from ${JSON.stringify(join(import.meta.dirname, "../../../src/ledger/lock.ts"))};
    import { nodeFiles } from ${JSON.stringify(join(import.meta.dirname, "../../../src/ledger/files.ts"))};
    try { await lockDirectory(process.argv[1], nodeFiles); console.log("taken"); }
    catch (error) { console.log(error.code, error.message); }
    setInterval(() => {}, 1000);`;
  const start = async (): Promise<{ line: string; child: ReturnType<typeof spawn> }> => {
    const child = spawn(process.execPath, ["--input-type=module", "-e", program, place.directory]);
    const [chunk] = (await once(child.stdout, "data")) as [Buffer];
    return { line: String(chunk), child };
  };
  const second = await start();
  expect(second.line).toMatch(new RegExp(`^locked .* in use by process ${process.pid} on host`));
  second.child.kill("SIGKILL");
  await ledger.close();

  // The lock ends with the process, however that ends.
  const third = await start();
  expect(third.line).toBe("taken\n");
  await expect(open(place)).rejects.toMatchObject(
    refusal("locked", new RegExp(`in use by process ${third.child.pid} on host`)),
  );
  third.child.kill("SIGKILL");
  await once(third.child, "exit");
  await (await open(place)).close();
});

test("unknown files, but not a left-over temporary one", async () => {
  const place = await filled();
  const folders = ["", "state", "quarantine"].map((name) => join(place.directory, name));
  for (const folder of folders) await writeFile(join(folder, ".tmp-0000"), "half");
  await (await open(place)).close();
  for (const folder of folders) {
    expect(await nodeFiles.list(folder)).not.toContain(".tmp-0000");
  }
  await writeFile(join(place.directory, "notes.txt"), "mine");
  await expect(open(place)).rejects.toMatchObject(refusal("foreign", /holds notes\.txt/));
  await rm(join(place.directory, "notes.txt"));
  await writeFile(join(place.directory, "segments", "0.jsonl.bak"), "mine");
  await expect(open(place)).rejects.toMatchObject(refusal("foreign", /holds 0\.jsonl\.bak/));
});

test("a segment that is missing", async () => {
  for (const place of [0, 1, -1]) {
    const from = await filled();
    const segments = await segmentsOf(from);
    expect(segments.length).toBeGreaterThan(3);
    await rm(segments.at(place)!, { force: true });
    await expect(open(from)).rejects.toMatchObject(refusal("damaged", /restore|missing/i));
  }
});

test("a log that is cut below its checkpoint or behind it", async () => {
  const place = await filled();
  const newest = (await segmentsOf(place)).at(-1)!;
  const { length } = await readFile(newest);
  await truncate(newest, length - 1);
  await expect(open(place)).rejects.toMatchObject(refusal("truncated", /: restore the newest/));
});

test("a size that the bucket or the spool knows and the log does not", async () => {
  const place = await filled();
  const known = [{ source: "spool", size: 1000 }];
  await expect(open(place, { known })).rejects.toMatchObject({ code: "truncated" });
  const ledger = await open(place);
  const { latestCheckpoint, size } = ledger;
  await ledger.close();
  const bucket = { source: "bucket", size: latestCheckpoint!.size };
  const wrong = [{ ...bucket, root: new Uint8Array(32) }];
  await expect(open(place, { known: wrong })).rejects.toMatchObject({ code: "damaged" });
  const right = [{ ...bucket, root: latestCheckpoint!.root }];
  const again = await open(place, { known: right });
  expect(again.size).toBeGreaterThan(size);
  await again.close();
});

test("an older copy put back over parts of a newer one", async () => {
  const place = await filled();
  const older = `${place.directory}-older`;
  await cp(place.directory, older, { recursive: true });
  const ledger = await open(place);
  for (let at = 100; at < 400; at++) void ledger.append(batch([{ name: String(at) }]));
  await ledger.close();
  // Its segments go back, and with them one after the other what could have told of it.
  await rm(join(place.directory, "segments"), { recursive: true });
  await cp(join(older, "segments"), join(place.directory, "segments"), { recursive: true });
  await expect(open(place)).rejects.toMatchObject(
    refusal("truncated", /restored from an older copy/),
  );
  for (const part of ["state", "checkpoint"]) {
    await rm(join(place.directory, part), { recursive: true });
    await cp(join(older, part), join(place.directory, part), { recursive: true });
    await expect(open(place)).rejects.toMatchObject(
      refusal("truncated", part === "state" ? /checkpoint knows|tile/ : /tile knows/),
    );
  }
  await rm(join(place.directory, "tile"), { recursive: true });
  await cp(join(older, "tile"), join(place.directory, "tile"), { recursive: true });
  // Now it is the older copy, whole: only somebody outside can know better.
  await (await open(place)).close();
  await checkLog(place.directory, place.keys);
});

test("tiles that do not reach as far as the checkpoint", async () => {
  const place = await filled();
  for (const level of ["0", "entries"]) {
    const path = join(place.directory, "tile", level);
    const bytes = await readFile(path);
    await truncate(path, bytes.length - 1);
    await expect(open(place)).rejects.toMatchObject(refusal("damaged", /is shorter than/));
    await rm(path);
    await expect(open(place)).rejects.toMatchObject(refusal("damaged", /is shorter than/));
    await writeFile(path, bytes);
  }
  await (await open(place)).close();
  await checkLog(place.directory, place.keys);
});

test("another configuration or other keys", async () => {
  const place = await filled();
  const other = await openKeys(`${place.directory}-keys`, keyFolder, { create: true });
  await expect(open({ ...place, keys: other })).rejects.toMatchObject(
    refusal("damaged", /log keys from their backup/),
  );
  await expect(open(place, { origin: "other.local" })).rejects.toMatchObject({ code: "foreign" });
});

test("no descriptor", async () => {
  const place = await filled();
  await rm(join(place.directory, "ledger.json"));
  await expect(open(place)).rejects.toMatchObject(
    refusal("damaged", /has no ledger\.json but segments/),
  );
  const empty = await temporaryPlace();
  await mkdir(join(empty.directory, "segments"), { recursive: true });
  await (await open(empty)).close();
});

test("damaged state snapshots are made again from the log, forged ones are not believed", async () => {
  const place = await filled();
  const folder = join(place.directory, "state");
  for (const name of await nodeFiles.list(folder)) {
    const bytes = await readFile(join(folder, name));
    bytes[bytes.length - 40]! ^= 1;
    await writeFile(join(folder, name), bytes);
  }
  const ledger = await open(place);
  expect(await ledger.append(batch([{ name: "3" }]))).toMatchObject({ repeated: 1 });
  await ledger.close();
  await checkLog(place.directory, place.keys);
});

test("a record of its own that it does not understand is never taken for a torn one", async () => {
  const place = await temporaryPlace();
  const ledger = await open(place);
  await ledger.append(batch([{ name: "a" }]));
  const copy = { ...place, directory: `${place.directory}-copy` };
  await cp(place.directory, copy.directory, { recursive: true });
  await ledger.close();
  // As a later version might write it: authentic, with a member that this one does not know.
  const [segment] = await segmentsOf(copy);
  const before = await readFile(segment!);
  const opened = parseLine(before.subarray(0, before.indexOf("\n")));
  const body = Buffer.from(
    Buffer.from(opened.body!).toString().replace('"mode":', '"lanes":2,"mode":'),
  );
  const head = encodeHead({
    ...opened.head,
    bodyDigest: bodyDigest(body),
    group: 2,
    index: 2,
    previousMac: opened.mac,
    sequence: 2,
  });
  const key = deriveChainKey(place.keys.chainKey(1)!, ledger.descriptorDigest, systemChain);
  const line = encodeLine(head, recordMac(key, head), body);
  await appendFile(segment!, line);
  await expect(open(copy)).rejects.toMatchObject(refusal("damaged", /record 2.*version/));
  expect(await readFile(segment!)).toEqual(Buffer.concat([before, line]));
});

test("checkpoints that could not be written are none that are missing", async () => {
  const place = await temporaryPlace();
  const { files, system } = faultyFiles();
  const ledger = await open(place, { files });
  await ledger.append(batch([{ name: "a" }]));
  for (let attempt = 0; attempt < 3; attempt++) {
    system.failNext(/^rename checkpoint/, "ENOSPC");
    await expect(ledger.checkpoint()).rejects.toMatchObject({ code: "unavailable" });
  }
  const copy = { ...place, directory: `${place.directory}-killed` };
  await cp(place.directory, copy.directory, { recursive: true });
  await ledger.close();
  const again = await open(copy);
  expect(again.status().start.isClean).toBe(false);
  await again.close();
  await checkLog(copy.directory, place.keys);
});
