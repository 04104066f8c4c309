/** `spanseal redact`: text, JSON and lines, with offsets in UTF-16 units of the input. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { spanseal, temporaryFolder } from "./command.ts";

const note =
  "note: no keys in ./spanseal-keys: tokens and hashes are made with a key of this run only\n";

interface Finding {
  readonly rule: string;
  readonly class: string;
  readonly action: string;
  readonly start: number;
  readonly end: number;
}

interface Redacted {
  readonly redacted: string;
  readonly findings: readonly Finding[];
}

async function redactJson(text: string, ...parameters: string[]): Promise<Redacted> {
  const ended = await spanseal(["redact", "--json", ...parameters], { stdin: text });
  expect(ended).toMatchObject({ code: 0, stderr: note });
  return JSON.parse(ended.stdout) as Redacted;
}

test("the text goes to stdout, what was found to stderr", async () => {
  const stdin = "write to jane@example.com, SSN 219-09-9999\n";
  const ended = await spanseal(["redact"], { stdin });
  expect(ended).toEqual({
    code: 0,
    stdout: "write to [REDACTED:email], SSN [REDACTED:us_ssn]\n",
    stderr: `${note}9-25: email (rule email, mask)\n31-42: us_ssn (rule us_ssn, mask)\n`,
  });
});

test("nothing found leaves the text as it is, down to the last byte", async () => {
  for (const stdin of ["", "nothing here", "Zürich 🏥\r\n\n\ttab"]) {
    const ended = await spanseal(["redact"], { stdin });
    expect(ended).toEqual({ code: 0, stdout: stdin, stderr: note });
  }
});

test("offsets count UTF-16 units of the input, beyond the basic plane too", async () => {
  const emails = ["jane@example.com", "bob@example.org"];
  const texts = [
    `a ${emails[0]}`,
    `ä ${emails[0]}`,
    `日本 ${emails[0]}`,
    `🏥🩺 ${emails[0]} 👩‍⚕️ and ${emails[1]} 🏥`,
    `\u{1F3E5}<${emails[0]}>`,
  ];
  const stdin = texts.map((text) => `${JSON.stringify({ text })}\n`).join("");
  const { stdout } = await spanseal(["redact", "--jsonl"], { stdin });
  const answers = stdout.split("\n").map((line) => (line === "" ? {} : JSON.parse(line)));
  for (const [at, text] of texts.entries()) {
    const { redacted, findings } = answers[at] as Redacted;
    const wanted = emails.filter((email) => text.includes(email));
    expect(findings).toEqual(
      wanted.map((email) => ({
        rule: "email",
        class: "email",
        action: "mask",
        start: text.indexOf(email),
        end: text.indexOf(email) + email.length,
      })),
    );
    expect(findings.map(({ start, end }) => text.slice(start, end))).toEqual(wanted);
    expect(redacted).toBe(text.replaceAll(/[a-z]+@example\.\w+/g, "[REDACTED:email]"));
  }
  expect(await redactJson(texts[3]!)).toEqual({
    redacted: answers[3].redacted,
    findings: answers[3].findings,
  });
});

test("--key is the attribute that the text is the value of", async () => {
  const number = "4471932";
  expect(await redactJson(number)).toEqual({ redacted: number, findings: [] });
  expect(await redactJson(number, "--key", "patient.mrn")).toEqual({
    redacted: "[REDACTED:mrn]",
    findings: [{ rule: "mrn", class: "mrn", action: "mask", start: 0, end: 7 }],
  });
  // Who and where is tokenised, never masked.
  const { redacted, findings } = await redactJson("jane@example.com", "--key", "user.id");
  expect(redacted).toMatch(/^tok_email_dry-run_[0-9a-f]{32}$/);
  expect(findings).toMatchObject([{ action: "tokenize", start: 0, end: 16 }]);
  // A semantic-convention address is left as it is.
  expect(await redactJson("10.1.2.3", "--key", "client.address")).toMatchObject({ findings: [] });
});

test("--jsonl answers each line with its id, in order", async () => {
  const lines = [
    { id: 1, text: "🏥 jane@example.com" },
    { id: "b", text: "4471932", key: "patient.mrn" },
    { id: { nested: [null] }, text: "nothing" },
    { text: "without an id" },
  ];
  const stdin = `${lines.map((line) => JSON.stringify(line)).join("\n")}\n\n`;
  const ended = await spanseal(["redact", "--jsonl"], { stdin });
  expect(ended).toMatchObject({ code: 0, stderr: note });
  const answers = ended.stdout.trim().split("\n");
  expect(answers.map((line) => JSON.parse(line))).toEqual([
    {
      id: 1,
      redacted: "🏥 [REDACTED:email]",
      findings: [{ rule: "email", class: "email", action: "mask", start: 3, end: 19 }],
    },
    {
      id: "b",
      redacted: "[REDACTED:mrn]",
      findings: [{ rule: "mrn", class: "mrn", action: "mask", start: 0, end: 7 }],
    },
    { id: { nested: [null] }, redacted: "nothing", findings: [] },
    { id: null, redacted: "without an id", findings: [] },
  ]);
});

test.for(['{"id":1}', "[]", "text", '{"text":1}', '{"text":"a","key":2}'])(
  "--jsonl names the line that is none: %s",
  async (line) => {
    const ended = await spanseal(["redact", "--jsonl"], { stdin: `{"text":"a"}\n${line}\n` });
    expect(ended.code).toBe(2);
    expect(ended.stdout).toBe('{"id":null,"redacted":"a","findings":[]}\n');
    expect(ended.stderr).toBe(
      `${note}error: line 2 is not a JSON object with a text\n` +
        'hint: expected {"id": …, "text": "…", "key": "…"} on every line; key may be left out\n',
    );
  },
);

test("the operator's own rules and keys are used: tokens are the same in each run", async () => {
  const cwd = temporaryFolder();
  const rules = "[{ id: employee, pattern: 'EMP-\\d{6}', class: employee_id, action: tokenize }]";
  writeFileSync(join(cwd, "spanseal.yaml"), `redaction: { packs: [], rules: ${rules} }\n`);
  expect(await spanseal(["keys", "init"], { cwd })).toMatchObject({ code: 0 });
  const redact = async () =>
    spanseal(["redact", "--config", "spanseal.yaml"], { cwd, stdin: "EMP-123456 a@example.com" });
  const ended = await redact();
  expect(ended.code).toBe(0);
  expect(ended.stdout).toMatch(/^tok_employee_id_[0-9a-f]{8}_[0-9a-f]{32} a@example\.com$/);
  expect(ended.stderr).toBe("0-10: employee_id (rule employee, tokenize)\n");
  expect((await redact()).stdout).toBe(ended.stdout);
});
