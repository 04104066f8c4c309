/** A wall clock that is set while the sidecar runs. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { readRecords } from "../../../src/ledger/read.ts";
import { eventually, recordsOf } from "../../system/observation.ts";
import { scenario } from "./scenario.ts";
import { World } from "./world.ts";

const folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"];
const library = folders
  .map((folder) => join(folder, "faketime/libfaketime.so.1"))
  .find((path) => existsSync(path));
const missing = library === undefined ? "libfaketime is not installed" : undefined;

scenario("clock steps forwards and backwards (libfaketime)", missing, async (counts) => {
  const world = await World.open();
  const file = join(world.cwd, "time");
  const setClock = (offset: string): void => writeFileSync(file, `${offset}\n`);
  setClock("+0");
  const env = {
    LD_PRELOAD: library!,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: "1",
    // As the kernel: what is set is the wall clock alone.
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  };
  const sidecar = await world.start({ env });
  // Each is further from the ledger's own time than the one before.
  const steps = ["+1h", "-2h", "+10d", "-10d"];
  for (const [at, offset] of steps.entries()) {
    await world.sendAll(sidecar, 3);
    setClock(offset);
    await eventually(async () => {
      await world.sendAll(sidecar, 1);
      expect((await recordsOf(sidecar, "clock_stepped")).length).toBeGreaterThan(at);
    });
    counts.runs++;
  }
  // Killed with the clock far behind the log, and started so.
  await world.sendAll(sidecar, 3);
  await sidecar.stop("SIGKILL");
  const again = await world.start({ env });
  await world.sendAll(again, 3);
  expect(await again.stop()).toBe(0);
  await world.judge(counts);
  let last = 0n;
  for await (const { head } of readRecords(again.ready.ledger)) {
    expect(BigInt(head.time)).toBeGreaterThanOrEqual(last);
    last = BigInt(head.time);
  }
});
