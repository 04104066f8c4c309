/** `spanseal query`: every filter, both outputs, and every way to end. */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { span, traces } from "../audit/setup.ts";
import { startSidecar } from "../service/sidecar-process.ts";
import { spanseal, spansealCommand, temporaryFolder } from "./command.ts";
import { ledgerLines, post, recordLedger, shownLines } from "./recorded.ts";
import type { Recorded, Shown } from "./recorded.ts";

/** A program of every Linux. */
const terminalMaker = "script";

let recorded: Recorded;
beforeAll(async () => {
  recorded = await recordLedger();
});

const indexes = (rows: readonly Shown[]): number[] => rows.map(({ index }) => index);

test("without a filter every record is there, in order, with these members and no other", () => {
  const { records } = recorded;
  expect(records.map(({ kind, body }) => body.action?.type ?? kind)).toEqual([
    "opened",
    "policy_changed",
    "agent_run",
    "model_call",
    "tool_call",
    "tool_call",
    "decision",
    "tool_call",
    "decision",
    "closed",
    "seal",
  ]);
  expect(indexes(records)).toEqual(records.map((_, at) => at));
  const members = ["id", "index", "sequence", "time", "kind", "namespace", "tenant", "body"];
  for (const record of records) expect(Object.keys(record)).toEqual(members);
});

test("what is printed is what stands in the ledger", () => {
  const lines = ledgerLines(recorded.ledger).map((line) => JSON.parse(line));
  expect(lines).toHaveLength(recorded.records.length);
  for (const [at, { head, body }] of lines.entries()) {
    const { id, index, sequence, kind, namespace, tenant } = head;
    const shown = recorded.records[at]!;
    expect(shown).toEqual({
      id,
      index,
      sequence,
      kind,
      namespace,
      tenant,
      body,
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/),
    });
    const milliseconds = BigInt(Date.parse(`${shown.time.slice(0, 23)}Z`));
    expect(`${milliseconds}${shown.time.slice(23, 29)}`).toBe(head.time);
  }
});

test.concurrent.for<[string, string[], number[]]>([
  ["namespace", ["--namespace", "clinic"], [2, 3, 4, 5, 6]],
  ["namespace that is the default", ["--namespace", "default"], [8]],
  ["tenant", ["--tenant", "south"], [7, 8]],
  ["tenant, control records", ["--tenant", "system"], [0, 1, 9, 10]],
  ["kind", ["--kind", "seal"], [10]],
  ["kind of actions", ["--kind", "action"], [2, 3, 4, 5, 6, 7, 8]],
  ["type", ["--type", "decision"], [6, 8]],
  ["tool", ["--tool", "charge_card"], [7]],
  ["agent by name, with what it did", ["--agent", "billing-clerk"], [2, 3, 4, 5, 6]],
  ["agent by id", ["--agent", "agent-7"], [2, 3, 4, 5, 6]],
  ["user in the clear", ["--user", "dr.miller"], [4]],
  ["user that was tokenised, in each tenant", ["--user", "jane@example.com"], [2, 3, 5, 6, 7]],
  ["outcome of an action", ["--outcome", "failure"], [7]],
  ["outcome of a decision", ["--outcome", "denied"], [5, 6]],
  ["outcome pending", ["--outcome", "pending"], [8]],
  ["trace", ["--trace", "00000000000000000000000000000002"], [7]],
  ["text, case ignored", ["--text", "ZÜRICH"], [4]],
  ["text with quotation marks", ["--text", '{"query":'], [4]],
  ["text of a control record", ["--text", "tips_root"], [10]],
  ["several filters at once", ["--tenant", "north", "--type", "tool_call"], [4, 5]],
  ["the newest by limit", ["--kind", "action", "--limit", "2"], [7, 8]],
  ["no limit", ["--limit", "0", "--tenant", "south"], [7, 8]],
  ["since ever", ["--since", "1d", "--until", "0", "--type", "decision"], [6, 8]],
])("filter by %s", async ([, parameters, wanted], { expect }) => {
  const ended = await recorded.run(["query", "--json", ...parameters]);
  expect(ended).toMatchObject({ code: 0, stderr: "" });
  expect(indexes(shownLines(ended.stdout))).toEqual(wanted);
});

test.concurrent.for([
  ["outcome", "dennied", "success, failure, denied"],
  ["type", "tol_call", "agent_run, model_call, tool_call"],
  ["kind", "sael", "action, opened"],
] as const)("--%s %s is no word of its list, and not just found nowhere", async (given) => {
  const [option, word, words] = given;
  const { code, stdout, stderr } = await recorded.run(["query", `--${option}`, word]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(
    `error: --${option} ${word} is no ${option} of a record\nhint: give one of`,
  );
  expect(stderr).toContain(words);
});

test("the value that was tokenised is found by the plain one and by its token", async () => {
  const token = recorded.find("agent_run").body.actor.user.id as string;
  expect(token).toMatch(/^tok_email_/);
  expect(indexes(await recorded.rows("query", "--user", token))).toEqual([2, 3, 5, 6]);
});

test("a time that was printed is a bound: from it on, and before it", async () => {
  const charge = recorded.find("tool_call", "charge_card");
  const since = await recorded.rows("query", "--since", charge.time);
  expect(indexes(since)).toEqual([7, 8, 9, 10]);
  const until = await recorded.rows("query", "--until", charge.time);
  expect(indexes(until)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  const shifted = new Date(Date.parse(charge.time) + 7_200_000).toISOString().slice(0, 19);
  const zoned = `${shifted}.${charge.time.slice(20, 29)}+02:00`;
  expect(indexes(await recorded.rows("query", "--since", zoned))).toEqual([7, 8, 9, 10]);
});

test("the table has a header and aligned columns, and says where it leaves something out", async () => {
  const table = await recorded.run(["query", "--outcome", "denied"]);
  expect(table).toMatchObject({ code: 0, stderr: "" });
  const [header, ...rows] = table.stdout.trimEnd().split("\n");
  expect(header!.split(/ +/)).toEqual(
    ["INDEX", "TIME", "TENANT", "TYPE", "AGENT"].concat(["NAME", "OUTCOME", "ID"]),
  );
  const { id, time } = recorded.find("decision", "delete_record");
  expect(rows).toHaveLength(2);
  expect(rows[1]!.split(/ {2,}/)).toEqual(
    ["6", `${time.slice(0, 23)}Z`, "north", "decision"].concat([
      "billing-clerk",
      "delete_record",
      "denied",
      id,
    ]),
  );
  expect(rows.map((row) => row.indexOf("denied"))).toEqual(
    rows.map(() => header!.indexOf("OUTCOME")),
  );
  const cut = await recorded.run(["query", "--limit", "3"]);
  expect(cut.stdout.trimEnd().split("\n")).toHaveLength(4);
  expect(cut.stderr).toBe("the newest 3 of 11 matches; all of them with --limit 0\n");
});

test("nothing found is exit code 1, in words and in JSON", async () => {
  const table = await recorded.run(["query", "--tool", "no_such_tool"]);
  expect(table).toEqual({ code: 1, stdout: "", stderr: "no record matches\n" });
  const json = await recorded.run(["query", "--tool", "no_such_tool", "--json"]);
  expect(json).toEqual({ code: 1, stdout: "", stderr: "" });
});

test.concurrent.for<[string, string[], RegExp]>([
  ["a time that is none", ["--since", "yesterday"], /^error: --since yesterday is no time\nhint: /],
  ["a day that is none", ["--until", "2026-02-30"], /^error: --until 2026-02-30 is no time\n/],
  ["a time without a zone", ["--since", "2026-11-21T08:00:00"], /is no time\nhint: give RFC 3339/],
  ["a limit that is none", ["--limit", "1e2"], /^error: --limit 1e2 is no number.*\nhint: /],
  [
    "an option that is none",
    ["--outcom", "x"],
    /^error: unknown option.*\nhint: Did you mean --ou/,
  ],
  ["an argument too many", ["extra"], /^error: too many arguments for 'query'.*\nhint: /],
])("%s is refused with a hint", async ([, parameters, message], { expect }) => {
  const ended = await recorded.run(["query", ...parameters]);
  expect(ended).toMatchObject({ code: 2, stdout: "" });
  expect(ended.stderr).toMatch(message);
});

test("without a ledger there is nothing to tell; a damaged one is named with its byte", async () => {
  const nowhere = await spanseal(["query", "--data", "elsewhere"]);
  expect(nowhere).toMatchObject({ code: 2, stdout: "" });
  expect(nowhere.stderr).toMatch(/^error: there is no ledger in elsewhere\/ledger\nhint: name it/);

  const cwd = temporaryFolder();
  const lines = ledgerLines(recorded.ledger);
  lines[3] = lines[3]!.replace('{"head":', '{"Head":');
  const folder = join(cwd, "spanseal-data/ledger/segments");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "0000000000000000.jsonl"), `${lines.join("\n")}\n`);
  writeFileSync(join(folder, "../ledger.json"), "{}");
  const damaged = await spanseal(["query", "--json"], { cwd });
  expect(indexes(shownLines(damaged.stdout))).toEqual([0, 1, 2]);
  expect(damaged.code).toBe(3);
  const place = Buffer.byteLength(lines.slice(0, 3).join("\n")) + 1;
  expect(damaged.stderr).toContain(`0000000000000000.jsonl is damaged at byte ${place}`);
  expect(damaged.stderr).toMatch(/\nhint: .*spanseal verify/);
  if (process.platform !== "linux") return;
  const terminal = ["-qec", spansealCommand("query"), "/dev/null"];
  const { stdout } = spawnSync(terminalMaker, terminal, { cwd, encoding: "utf8" });
  expect(stdout).toContain("0 found\r\u{1b}[Kerror: ");
});

test("a tenant whose name was tokenised is found by the plain name; names are not shown", async () => {
  const sidecar = await startSidecar();
  const resource = { "service.namespace": "joe@example.com", "tenant.id": "amy@example.com" };
  const tool = { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "lookup" };
  const body = traces([span({ name: "execute_tool lookup", attributes: tool })], { resource });
  await post(sidecar.ready.endpoints.http, "traces", body);
  const query = (...parameters: string[]) =>
    spanseal(["query", "--config", "spanseal.yaml", "--json", ...parameters], sidecar);
  const byTenant = await query("--tenant", "amy@example.com");
  const [record] = shownLines(byTenant.stdout);
  expect([byTenant.code, record?.tenant]).toEqual([0, expect.stringMatching(/^tok_email_/)]);
  const byNamespace = await query("--namespace", "joe@example.com");
  expect(shownLines(byNamespace.stdout)).toEqual([record]);
  expect(byTenant.stdout + byNamespace.stdout).not.toContain("@example.com");
  expect(await query("--tenant", "joe@example.com")).toMatchObject({ code: 1, stdout: "" });
  const withoutKeys = await query("--tenant", "amy@example.com", "--keys", "elsewhere");
  expect(withoutKeys).toMatchObject({ code: 1, stdout: "" });
  expect(withoutKeys.stderr).toMatch(/^note: no keys in elsewhere: tokens .* this run only\n$/);
  await sidecar.stop();
});
