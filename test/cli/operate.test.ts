import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { askSidecar } from "../../src/service/control-socket.ts";
import { startSidecar } from "../service/sidecar-process.ts";
import { spanseal, temporaryFolder } from "./command.ts";

const config = ["--config", "spanseal.yaml"];

test("commands go through the running sidecar, and work on the ledger where none runs", async () => {
  const sidecar = await startSidecar();
  const { cwd, ready } = sidecar;
  const status = await spanseal(["status", ...config], { cwd });
  expect(status.code).toBe(0);
  expect(status.stdout).toMatch(new RegExp(`^sidecar +process ${ready.pid}, `));
  expect(status.stdout).toMatch(/^ready +yes$/m);
  expect(status.stdout).toContain(ready.public_key);

  const published = await spanseal(["publish", ...config, "--json"], { cwd });
  expect(published).toMatchObject({ code: 0, stderr: "" });
  const origin = ready.public_key.split("+")[0]!;
  const { size } = JSON.parse(published.stdout) as { size: number };
  expect(size).toBe(3);
  const checkpoint = join(ready.bucket, origin, "checkpoint");
  expect(readFileSync(checkpoint, "utf8").split("\n").slice(0, 2)).toEqual([origin, "3"]);

  for (const which of ["chain", "log"]) {
    const rotated = await spanseal(["keys", "rotate", which, ...config], { cwd });
    expect(rotated.code).toBe(0);
    expect(rotated.stderr).toContain(`the ${which} key was rotated in record`);
  }
  const keys = await spanseal(["keys", "public", ...config], { cwd });
  const vkeys = keys.stdout.trim().split("\n");
  expect(vkeys).toHaveLength(2);
  expect(vkeys[0]).toBe(ready.public_key);
  const after = await spanseal(["status", ...config, "--json"], { cwd });
  expect(JSON.parse(after.stdout)).toMatchObject({ running: true, ready: true });
  expect(JSON.parse(after.stdout)).toHaveProperty("publicKey", vkeys[1]);
  expect(await sidecar.stop()).toBe(0);

  const stopped = await spanseal(["status", ...config], { cwd });
  expect([stopped.code, stopped.stdout.split("\n")[0]]).toEqual([1, "sidecar  not running"]);
  const alone = await spanseal(["publish", ...config, "--json"], { cwd });
  expect(alone).toMatchObject({ code: 0, stderr: "" });
  expect((JSON.parse(alone.stdout) as { size: number }).size).toBeGreaterThan(size);
  const again = await startSidecar({ cwd });
  expect(again.ready.public_key).toBe(vkeys[1]);
  expect(await again.stop()).toBe(0);
});

test("what was published is remembered however the bucket's folder is spelled", async () => {
  const sidecar = await startSidecar();
  const { cwd, ready } = sidecar;
  expect(await sidecar.stop()).toBe(0);
  rmSync(ready.bucket, { recursive: true });
  mkdirSync(ready.bucket);
  const spelled = [
    ["--data", "spanseal-data"],
    ["--data", join(cwd, "spanseal-data")],
  ];
  for (const data of spelled) {
    const { code, stderr } = await spanseal(["publish", ...config, ...data], { cwd });
    expect(code).toBe(3);
    expect(stderr).toContain("the bucket was emptied, not mounted or restored from an older copy");
  }
});

test("keys are created once, told without secrets, and missed with a hint", async () => {
  const cwd = temporaryFolder();
  const missing = await spanseal(["keys", "status"], { cwd });
  expect(missing.code).toBe(2);
  expect(missing.stderr).toMatch(/^error: no keys in .\/spanseal-keys\nhint: run "spanseal keys/);
  const created = await spanseal(["keys", "init"], { cwd });
  expect(created.code).toBe(0);
  expect(created.stderr).toContain("back them up now");
  const again = await spanseal(["keys", "init", "--json"], { cwd });
  expect(JSON.parse(again.stdout)).toMatchObject({ created: false });
  const status = await spanseal(["keys", "status"], { cwd });
  for (const name of ["chain.1.key", "log.1.key", "pepper.1.key"]) {
    const secret = readFileSync(join(cwd, "spanseal-keys", name), "utf8").trim();
    expect(status.stdout).not.toContain(secret);
  }
  expect(status.stdout).toMatch(/^chain key +1:[0-9a-f]{8} /m);
});

test("rotations that are asked for at once come one after another", async () => {
  const sidecar = await startSidecar();
  const rotations = ["chain", "log", "chain", "log", "chain"].map((which) =>
    askSidecar(sidecar.ready.ledger, "rotate", { which }),
  );
  const indexes = (await Promise.all(rotations)).map(
    (answer) => (answer as { index: number }).index,
  );
  // Before each change of the log key, one more record: the seal of a root that the old one signs.
  expect(indexes).toEqual([2, 4, 5, 7, 8]);
  expect(await sidecar.stop()).toBe(0);
  expect(await spanseal(["verify", ...config], { cwd: sidecar.cwd })).toMatchObject({ code: 0 });
});

test("what fails is told alike by the running sidecar and without one", async () => {
  const sidecar = await startSidecar();
  const { cwd, ready } = sidecar;
  chmodSync(join(ready.keys, "log.1.key"), 0o644);
  const rotate = () => spanseal(["keys", "rotate", "log", ...config], { cwd });
  const running = await rotate();
  expect(running).toMatchObject({ code: 2, stdout: "" });
  expect(running.stderr).toMatch(/^error: .* has mode 644, .*\nhint: run "chmod 600 .*"\n$/);
  const publish = () => spanseal(["publish", ...config], { cwd });
  expect(await publish()).toMatchObject({ code: 0 });
  rmSync(ready.bucket, { recursive: true });
  mkdirSync(ready.bucket);
  expect(await publish()).toMatchObject({ code: 3 });
  await sidecar.stop();
  expect(await rotate()).toEqual(running);
  chmodSync(join(ready.keys, "log.1.key"), 0o600);
  expect(await publish()).toMatchObject({ code: 3 });
});

test("no keys are made for a ledger that has lost its own", async () => {
  const sidecar = await startSidecar();
  const { cwd } = sidecar;
  expect(await sidecar.stop()).toBe(0);
  rmSync(join(cwd, "spanseal-keys"), { recursive: true });
  for (const command of ["keys init", "keys status", "keys public", "publish"]) {
    const { code, stdout, stderr } = await spanseal([...command.split(" "), ...config], { cwd });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/needs its own\nhint: restore the folder from its backup/);
  }
  expect(existsSync(join(cwd, "spanseal-keys"))).toBe(false);
});

test("without a bucket verify says what it could not tell", async () => {
  const sidecar = await startSidecar();
  const { cwd, ready } = sidecar;
  expect(await sidecar.stop()).toBe(0);
  const whole = await spanseal(["verify", ...config], { cwd });
  expect(whole.code).toBe(0);
  expect(whole.stdout).not.toContain("not checked");
  rmSync(ready.bucket, { recursive: true });
  mkdirSync(ready.bucket);
  for (const options of [[], ["--no-bucket"]]) {
    const { code, stdout } = await spanseal(["verify", ...config, ...options], { cwd });
    expect(code).toBe(0);
    expect(stdout).toContain("not checked (bucket): no bucket was compared");
  }
  rmSync(ready.bucket, { recursive: true });
  writeFileSync(ready.bucket, "no folder");
  const unreachable = await spanseal(["publish", ...config], { cwd });
  expect(unreachable).toMatchObject({ code: 1, stdout: "" });
  expect(unreachable.stderr).toContain("ENOTDIR");
});

test.for(["keys public", "publish", "status", "keys rotate log"])(
  "%s without a ledger creates none and says what to do",
  async (command) => {
    const ended = await spanseal(command.split(" "));
    expect(ended).toMatchObject({ code: 2, stdout: "" });
    expect(ended.stderr).toMatch(/^error: there is no ledger in .*\nhint: .*spanseal serve\n$/);
  },
);
