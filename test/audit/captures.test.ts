/** Recorded telemetry of frameworks that follow the current conventions, against what happened. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mappedRecords } from "../../src/audit/mapped-record.ts";
import { TraceMemory } from "../../src/audit/trace-memory.ts";
import { type Mapped, prepared } from "./setup.ts";

const root = join(import.meta.dirname, "../captures");

interface TrueAction {
  readonly n: number;
  readonly happened: string;
  readonly type: string;
  readonly also: readonly string[];
  readonly visible: string;
  readonly optional?: boolean;
  readonly via?: string;
  readonly evidence: readonly { span?: string }[];
  readonly duplicates: readonly { span?: string }[];
  readonly members: Readonly<Record<string, unknown>>;
}

interface Truth {
  readonly actions: readonly TrueAction[];
  readonly ignored: readonly { span?: string }[];
  readonly forbidden: readonly { type: string; name: string; status?: string }[];
}

interface Capture {
  readonly truth: Truth;
  readonly records: readonly Mapped[];
}

function load(folder: string): Capture {
  const directory = join(root, folder);
  const truth = JSON.parse(readFileSync(join(directory, "truth.json"), "utf8")) as Truth;
  const memory = new TraceMemory();
  const records: Mapped[] = [];
  for (const file of readdirSync(directory).toSorted()) {
    if (!file.endsWith(".pb")) continue;
    const signal = file.includes("logs") ? "logs" : "traces";
    const batch = prepared(signal, new Uint8Array(readFileSync(join(directory, file))), { memory });
    records.push(...mappedRecords(batch));
  }
  return { truth, records };
}

function member(record: Mapped, path: string): unknown {
  let value: unknown = record.body;
  for (const name of path.split("."))
    value = (value as Record<string, unknown> | undefined)?.[name];
  return value;
}

function fits(expected: unknown, actual: unknown): boolean {
  return Array.isArray(expected) ? expected.includes(actual) : expected === actual;
}

/** What of an action's members no record of its spans shows. */
function missing(action: TrueAction, records: readonly Mapped[]): string[] {
  const spans = new Set(action.evidence.map(({ span }) => span));
  const types = [action.type, ...action.also];
  const candidates = records.filter(
    (record) =>
      spans.has(member(record, "trace.span_id") as string) &&
      types.includes(member(record, "action.type") as string),
  );
  if (candidates.length === 0) return [`no record: ${action.happened}`];
  const problems = candidates.map((record) =>
    Object.entries(action.members)
      .filter(([path, expected]) => !fits(expected, member(record, path)))
      .map(([path, expected]) => {
        const said = `${path} is ${String(member(record, path))}, expected ${String(expected)}`;
        return `${action.n} ${action.happened}: ${said}`;
      }),
  );
  return problems.toSorted((a, b) => a.length - b.length)[0]!;
}

/**
 * What these conventions alone cannot say, because it stands in messages or in a framework's own
 * words: each line is a limit that a later convention of that framework lifts.
 */
const FRAMEWORK_WORDS: Readonly<Record<string, RegExp>> = {
  "python/openai-agents/genai-content-on": /waits for approval: decision.outcome/,
  "python/agent-framework/content-on": /run of clinic-wf/,
  "js/vercel-ai-7/content-on": /human denied delete_record/,
  "python/pydantic-ai/v5-content-on": /wire_refund requested|agent (?:triage|records|badargs) runs/,
  "python/langchain/genai-content-on": /no record: delete_record requested/,
};

const FOLDERS = [
  "python/openai-agents/genai-content-on",
  "python/openai-sdk/genai-content-on",
  "python/mcp-sdk/native",
  "python/pydantic-ai/v5-content-on",
  "python/agent-framework/content-on",
  "python/google-adk/content-on",
  "python/langchain/genai-content-on",
  "js/vercel-ai-7/content-on",
];

test.each(FOLDERS)("%s: every visible action is recorded as it happened", (folder) => {
  const { truth, records } = load(folder);
  const limits = FRAMEWORK_WORDS[folder];
  const problems = truth.actions
    .filter((action) => action.visible === "yes" && action.optional !== true)
    .filter((action) => action.via !== "messages")
    .flatMap((action) => missing(action, records))
    .filter((problem) => limits?.test(problem) !== true);
  expect(problems).toEqual([]);
});

test.each(FOLDERS)("%s: nothing is recorded that did not happen", (folder) => {
  const { truth, records } = load(folder);
  const wrong = truth.forbidden.flatMap(({ type, name, status }) =>
    records.filter(
      (record) =>
        member(record, "action.type") === type &&
        member(record, "action.name") === name &&
        (status === undefined || member(record, "outcome.status") === status) &&
        !truth.actions.some((action) =>
          action.evidence.some(
            ({ span }) =>
              span === member(record, "trace.span_id") &&
              fits(action.members["outcome.status"], member(record, "outcome.status")),
          ),
        ),
    ),
  );
  expect(wrong.map((record) => record.body as unknown)).toEqual([]);
  const ignored = new Set(truth.ignored.map(({ span }) => span));
  const noise = records.filter((record) => ignored.has(member(record, "trace.span_id") as string));
  expect(noise.map((record) => member(record, "trace.name"))).toEqual([]);
});
