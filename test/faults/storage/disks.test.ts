/** Disks that have no room, or lose what was not synced. */
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { mountSmallDisk, noSmallDisk } from "../../slow/hostile-storage.ts";
import { eventually, readinessWith, recordsOf } from "../../system/observation.ts";
import { isFull } from "../outcome.ts";
import { scenario } from "./scenario.ts";
import { mountLossyDisk, noLossyDisk } from "./lossy-disk.ts";
import { World } from "./world.ts";

/** Takes all the room that is left. */
function fillDisk(path: string): void {
  const file = openSync(path, "w");
  const block = Buffer.alloc(4096, 1);
  try {
    for (;;) writeSync(file, block);
  } catch (error) {
    expect(error).toMatchObject({ code: "ENOSPC" });
  } finally {
    closeSync(file);
  }
}

scenario("disk full under load, then room again", noSmallDisk, async (counts) => {
  const world = await World.open();
  const data = join(world.cwd, "spanseal-data");
  mountSmallDisk(data, "24m");
  const sidecar = await world.start();
  for (let round = 0; round < 3; round++) {
    const stop = world.load(sidecar, "long ".repeat(400));
    await delay(300);
    const filler = join(data, "filler");
    fillDisk(filler);
    const { reasons } = await readinessWith(sidecar, 503);
    expect(reasons).toContain("ENOSPC");
    // While it is full nothing is acknowledged, and nothing flaps.
    expect(await world.send(sidecar)).toBe(503);
    await delay(700);
    await readinessWith(sidecar, 503);
    expect((await sidecar.operations("/healthz")).status).toBe(200);
    rmSync(filler);
    await readinessWith(sidecar, 200);
    const before = world.acknowledged.length;
    await eventually(() => expect(world.acknowledged.length).toBeGreaterThan(before + 5));
    await stop();
    counts.runs++;
  }
  const kinds = (await recordsOf(sidecar)).map(({ kind }) => kind);
  const told = kinds.filter((kind) => kind === "recovered" || kind === "storage_failed");
  expect(told.length).toBeGreaterThanOrEqual(3);
  // No room for an orderly end: it says so and ends all the same.
  const filler = join(data, "filler");
  fillDisk(filler);
  expect(await sidecar.stop()).toBe(3);
  expect(sidecar.stderr()).toMatch(/error: .*ENOSPC/);
  rmSync(filler);
  await world.judge(counts);
});

const cutsOfPower = isFull ? 12 : 2;

scenario(
  "power cuts under load, on a real file system that loses its page cache (FUSE)",
  noLossyDisk,
  async (counts) => {
    const world = await World.open();
    const data = join(world.cwd, "spanseal-data");
    mkdirSync(data);
    const disk = await mountLossyDisk(join(world.cwd, "backing"), data);
    for (let cut = 0; cut < cutsOfPower; cut++) {
      const sidecar = await world.start();
      const stop = world.load(sidecar, "long ".repeat(cut % 2 === 0 ? 10 : 2000));
      await delay(150 + ((cut * 137) % 600));
      sidecar.child.kill("SIGSTOP");
      disk.cutPower();
      await sidecar.stop("SIGKILL");
      await stop();
      counts.runs++;
    }
    await world.judge(counts);
  },
);
