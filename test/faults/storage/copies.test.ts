/** Copies of yesterday in the place of what is there today. */
import { cpSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { spanseal } from "../../cli/command.ts";
import type { Counts } from "./counts.ts";
import { scenario } from "./scenario.ts";
import { World } from "./world.ts";

/** A ledger and its bucket at two moments: what is there is of today, `yesterday` a copy. */
interface TwoDays {
  readonly world: World;
  readonly data: string;
  /** Puts yesterday's copy of a part in its place. */
  restore(part: "ledger" | "bucket"): void;
}

async function twoDays(): Promise<TwoDays> {
  const world = await World.open();
  const data = join(world.cwd, "spanseal-data");
  const first = await world.start();
  await world.sendAll(first, 5);
  expect(await first.stop()).toBe(0);
  for (const part of ["ledger", "bucket"]) {
    cpSync(join(data, part), join(world.cwd, "yesterday", part), { recursive: true });
  }
  const second = await world.start();
  await world.sendAll(second, 5);
  await world.drained();
  expect(await second.stop()).toBe(0);
  return {
    world,
    data,
    restore(part) {
      renameSync(join(data, part), join(world.cwd, `${part}-of-today`));
      cpSync(join(world.cwd, "yesterday", part), join(data, part), { recursive: true });
    },
  };
}

/** A start that must not go on, and says why. */
async function expectRefused({ world }: TwoDays, reason: RegExp, counts: Counts): Promise<void> {
  const { code, stderr } = await spanseal(["serve", "--config", "spanseal.yaml"], {
    cwd: world.cwd,
  });
  counts.runs++;
  if (code === 3 && reason.test(stderr)) return;
  counts.undetected++;
  counts.problems.push(`started, or refused for another reason: ${code} ${stderr}`);
}

scenario("older copy of the ledger", undefined, async (counts) => {
  const days = await twoDays();
  days.restore("ledger");
  await expectRefused(days, /whole records, bucket .* knows \d+/, counts);
});

scenario("older copy of the bucket", undefined, async (counts) => {
  const days = await twoDays();
  days.restore("bucket");
  await expectRefused(days, /restored from an older copy/, counts);
  // What the message says to do: today's bucket is brought back.
  const bucket = join(days.data, "bucket");
  rmSync(bucket, { recursive: true });
  renameSync(join(days.world.cwd, "bucket-of-today"), bucket);
  await days.world.judge(counts);
});

scenario("older copy of ledger and bucket, the spool newer", undefined, async (counts) => {
  const days = await twoDays();
  days.restore("ledger");
  days.restore("bucket");
  const spool = join(days.data, "ledger/spool");
  rmSync(spool, { recursive: true });
  cpSync(join(days.world.cwd, "ledger-of-today/spool"), spool, { recursive: true });
  await expectRefused(days, /whole records, spool .* knows \d+/, counts);
});

scenario(
  "older copy of everything, against a bucket that was kept elsewhere",
  undefined,
  async (counts) => {
    const days = await twoDays();
    days.restore("ledger");
    days.restore("bucket");
    const { cwd } = days.world;
    // Nothing on this machine knows more: it starts. Whoever kept the bucket sees it.
    const sidecar = await days.world.start();
    await days.world.sendAll(sidecar, 1);
    expect(await sidecar.stop()).toBe(0);
    const elsewhere = join(cwd, "bucket-of-today");
    const verify = ["verify", "--config", "spanseal.yaml", "--bucket", elsewhere];
    const { code, stdout } = await spanseal(verify, { cwd });
    counts.runs++;
    if (code === 1 && /FAILED (rolled_back|truncated|root_mismatch)/.test(stdout)) return;
    counts.undetected++;
    counts.problems.push(`the verification of the restored copy said ${code}: ${stdout}`);
  },
);
