/** What stands in the place of a ledger's file and would hold up whoever opens it is named. */
import { execFileSync } from "node:child_process";
import { cpSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { nodeFiles } from "../../src/ledger/files.ts";
import { temporaryPlace } from "../ledger/log/support.ts";
import { recordLedger } from "./recorded.ts";
import type { Recorded } from "./recorded.ts";

const pipeMaker = "mkfifo";
const plantPipe = (path: string): void => void execFileSync(pipeMaker, [path]);

async function plantSocket(path: string): Promise<void> {
  const server = createServer();
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(path, resolve));
}

test.for<[what: string, plant: (path: string) => void | Promise<void>]>([
  ["a pipe that nobody writes to", plantPipe],
  ["a socket", plantSocket],
  ["a device without end", (path) => symlinkSync("/dev/zero", path)],
  ["a link to itself", (path) => symlinkSync(path, path)],
])("%s is neither read nor written nor locked", async ([, plant]) => {
  const path = join((await temporaryPlace()).directory, "..", "planted");
  await plant(path);
  const refused = { code: "damaged", message: expect.stringMatching(/planted is no plain file/) };
  await expect(nodeFiles.read(path)).rejects.toMatchObject(refused);
  await expect(nodeFiles.readRange(path, 0, 10)).rejects.toMatchObject(refused);
  await expect(nodeFiles.openAppend(path, 0o600)).rejects.toMatchObject(refused);
});

test("a pipe in the place of the lock is not waited for", async () => {
  const path = join((await temporaryPlace()).directory, "..", "lock");
  plantPipe(path);
  await expect(nodeFiles.lock(path, 0o600)).rejects.toMatchObject({ code: "ENXIO" });
});

let recorded: Recorded;
beforeAll(async () => {
  recorded = await recordLedger();
});

const plain = /(?:ledger\.json|\d\.jsonl|checkpoint|tile\/0) is no plain file .*move it away/s;

test.for<[name: string, says: Readonly<Record<string, readonly [code: number, says: RegExp]>>]>([
  ["ledger.json", { query: [0, /clinic/], verify: [1, plain], serve: [3, plain] }],
  [
    "segments/0000000000000000.jsonl",
    {
      query: [3, plain],
      "show 2": [3, plain],
      tail: [3, plain],
      verify: [1, plain],
      "prove 2": [3, plain],
      serve: [3, /has 0 bytes, \d+ were durable: .*\nhint: restore /],
    },
  ],
  ["checkpoint", { verify: [1, plain], "prove 2": [3, plain], serve: [3, plain] }],
  ["tile/0", { verify: [1, plain], "prove 2": [3, plain], serve: [3, /is shorter than .*hint/s] }],
  ["lock", { serve: [3, /^error: cannot lock ledger .*hint: /s] }],
])("a pipe in the place of %s holds no command up", async ([name, expected]) => {
  const data = join((await temporaryPlace()).directory, "..", "data");
  cpSync(join(recorded.ledger, ".."), data, { recursive: true });
  rmSync(join(data, "ledger", name));
  plantPipe(join(data, "ledger", name));
  const commands = Object.entries(expected).map(async ([command, [code, says]]) => {
    const ended = await recorded.run([...command.split(" "), "--data", data, "--json"]);
    expect([command, ended.code]).toEqual([command, code]);
    expect(ended.stdout + ended.stderr).toMatch(says);
  });
  await Promise.all(commands);
});
