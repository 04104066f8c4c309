/** `spanseal show` and `spanseal tail`, on a closed ledger and on one that is being written. */
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { span, traces } from "../audit/setup.ts";
import { startSidecar } from "../service/sidecar-process.ts";
import { agentRequest } from "../support/agent-load.ts";
import { UniqueSpans } from "../support/unique-spans.ts";
import { spanseal } from "./command.ts";
import { ledgerLines, post, recordLedger, shownLines } from "./recorded.ts";
import type { Recorded } from "./recorded.ts";

let recorded: Recorded;
beforeAll(async () => {
  recorded = await recordLedger();
});

test("show finds a record by its index and by its id, and prints it as query does", async () => {
  const wanted = recorded.find("tool_call", "lookup_patient");
  for (const name of [String(wanted.index), wanted.id]) {
    const ended = await recorded.run(["show", name, "--json"]);
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(ended.stdout).toBe(`${JSON.stringify(wanted)}\n`);
  }
});

test("show tells a person the place, the MAC and the body", async () => {
  const { id, time } = recorded.find("tool_call", "charge_card");
  const { stdout } = await recorded.run(["show", "7"]);
  const { head, mac } = JSON.parse(ledgerLines(recorded.ledger)[7]!);
  const [fields, body] = stdout.split("\n{\n");
  expect(fields!.split("\n").map((line) => line.split(/ {2,}/))).toEqual([
    ["id", id],
    ["kind", "action"],
    ["time", time],
    ["chain", "shop/south #1"],
    ["place", "record 7 of the log, in 0000000000000000.jsonl"],
    ["mac", `${mac} (key ${head.key})`],
  ]);
  expect(JSON.parse(`{${body}`)).toMatchObject({ outcome: { error: { type: "CardDeclined" } } });
});

test("show --line is the line of the ledger, byte for byte", async () => {
  for (const index of [0, 4, 10]) {
    const { stdout } = await recorded.run(["show", String(index), "--line"]);
    expect(stdout).toBe(`${ledgerLines(recorded.ledger)[index]}\n`);
  }
});

test.for<[string, number, RegExp]>([
  ["11", 1, /^error: there is no record 11\nhint: spanseal query lists/],
  ["00000000000000000000000000000000", 1, /^error: there is no record 0{32}\nhint: /],
  ["007", 2, /^error: 007 is neither a record id nor an index\nhint: an id is 32 lower-case/],
  ["ABCDEF00112233445566778899AABBCC", 2, /is neither a record id nor an index\nhint: /],
])("show %s ends with %i", async ([wanted, code, message]) => {
  const ended = await recorded.run(["show", wanted]);
  expect(ended).toMatchObject({ code, stdout: "" });
  expect(ended.stderr).toMatch(message);
});

test("tail prints the newest records, ten if not asked otherwise", async () => {
  const { records } = recorded;
  expect(await recorded.rows("tail")).toEqual(records.slice(-10));
  expect(await recorded.rows("tail", "-n", "3")).toEqual(records.slice(-3));
  expect(await recorded.rows("tail", "--lines", "100")).toEqual(records);
  expect(await recorded.rows("tail", "-n", "0")).toEqual([]);
  const text = await recorded.run(["tail", "-n", "1"]);
  const { id, index, time } = records.at(-1)!;
  expect(text.stdout).toBe(`${index}  ${time.slice(0, 23)}Z  system  seal  ${id}\n`);
});

test("what a sender writes into a name cannot steer the terminal of who reads it", async () => {
  const sidecar = await startSidecar();
  const { cwd, ready } = sidecar;
  const steering = "\u001b[2J\u009b2J\u202e\u0007\r";
  const attributes = { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": steering };
  await post(ready.endpoints.http, "traces", traces([span({ name: "execute_tool", attributes })]));
  const run = (...words: string[]) => spanseal([...words, "-c", "spanseal.yaml"], { cwd });
  const [record] = shownLines((await run("query", "--type", "tool_call", "--json")).stdout);
  expect(record!.body.tool.name).toBe(steering);
  const asText = [["tail"], ["query"], ["show", String(record!.index)]];
  for (const { stdout } of await Promise.all(asText.map((words) => run(...words)))) {
    expect(stdout).toContain("tool_call");
    expect(stdout).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
  }
});

test.for(["x", "-1", "10001", ""])("tail -n %s is refused with a hint", async (lines) => {
  const ended = await recorded.run(["tail", `--lines=${lines}`]);
  expect(ended).toMatchObject({ code: 2, stdout: "" });
  expect(ended.stderr).toMatch(/^error: --lines .*is no number of records\nhint: give a number/);
});

test("tail --follow shows each record once, in order, over the change of segments", async () => {
  const sidecar = await startSidecar({ config: { ledger: { segment: { max_size: "1MiB" } } } });
  const { cwd, ready } = sidecar;
  const spans = new UniqueSpans(agentRequest({ seed: 3, spans: 256, personalDataShare: 0 }));
  const send = (first: number) =>
    post(ready.endpoints.http, "traces", spans.stamped(BigInt(first * spans.count + 1)));
  await send(0);
  const follow = startFollowing(cwd, ["--lines", "5"]);
  await expect.poll(() => follow.indexes.length, { timeout: 20_000 }).toBe(5);
  for (let request = 1; request < 6; request++) await send(request);
  const segments = () => readdirSync(join(cwd, "spanseal-data/ledger/segments"));
  expect(segments().length).toBeGreaterThan(1);
  await sidecar.stop();
  const all = shownLines(
    (await spanseal(["tail", "-n", "10000", "--json", "-c", "spanseal.yaml"], { cwd })).stdout,
  );
  expect(all.map(({ index }) => index)).toEqual(all.map((_, at) => at));
  const wanted = all.slice(spans.count + 2 - 5).map(({ index }) => index);
  await expect.poll(() => follow.indexes.length, { timeout: 20_000 }).toBe(wanted.length);
  expect(follow.indexes).toEqual(wanted);
  expect(await follow.stop()).toBe("SIGINT");
  expect(follow.stderr()).toBe("");
  const some = shownLines(
    (await spanseal(["tail", "-n", "900", "--json", "-c", "spanseal.yaml"], { cwd })).stdout,
  );
  expect(some).toEqual(all.slice(-900));
});

function startFollowing(cwd: string, parameters: readonly string[]) {
  const main = join(import.meta.dirname, "../../src/cli/main.ts");
  const fixed = ["tail", "--follow", "--json", "--config", "spanseal.yaml"];
  const child = spawn(process.execPath, [main, ...fixed, ...parameters], { cwd });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const indexes: number[] = [];
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  createInterface({ input: child.stdout }).on("line", (line) => {
    indexes.push((JSON.parse(line) as { index: number }).index);
  });
  const ended = new Promise<NodeJS.Signals | number | null>((resolve) => {
    child.once("close", (code, signal) => resolve(signal ?? code));
  });
  return {
    indexes,
    stderr: () => errors,
    stop() {
      child.kill("SIGINT");
      return ended;
    },
  };
}
