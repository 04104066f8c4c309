/** The schema of `redaction` and `phi`, and what the redaction engine says about their content. */
import { z } from "zod";
import { compileRedaction } from "../../audit/redact/policy.ts";
import { RuleError } from "../../audit/redact/rule-error.ts";
import type { PhiTableConfig, RedactionConfig } from "./model.ts";
import type { PlacedProblem } from "./problems.ts";
import { placeOf } from "./references.ts";
import { text } from "./values.ts";

const actionDoc =
  "`mask`, `drop`, `hash`, `tokenize`, `truncate:n`, `bucket:n`, `range:n`, or a list of them.";
const action = z.union([text(), z.array(text()).min(1)]);

const rule = z.strictObject({
  id: text().describe("Name of the rule, as it stands in the redaction trail."),
  pattern: text().describe("Regular expression (RE2 syntax: linear time, no back-references)."),
  class: text().describe("What is found, e.g. employee_id. It stands in the mask."),
  action: action.prefault("mask").describe(actionDoc),
  // An empty list would let the rule find nothing, which looks like nothing to find.
  keys: z
    .array(text())
    .min(1)
    .optional()
    .describe("Only values of these attribute keys or JSON members."),
  context: z
    .array(text())
    .min(1)
    .optional()
    .describe("Only where the key or the text shortly before holds one of these words."),
});

/** `redaction`, as written in the file. */
export const redactionSchema: z.ZodType<RedactionConfig> = z.strictObject({
  packs: z
    .array(text())
    .prefault(["core", "secrets", "us"])
    .describe("Built-in detectors. `[]` without rules turns redaction off; a record says so."),
  rules: z.array(rule).prefault([]).describe("Rules of your own, before the packs."),
});

const table = z.strictObject({
  match: z
    .strictObject({
      collections: z.array(text()).prefault([]).describe("Names of tables or collections."),
      tools: z.array(text()).prefault([]).describe("Names of tools whose results are such rows."),
    })
    .describe("Where the rows of this table come from."),
  subject: text().optional().describe("Column that says whose data a row is."),
  columns: z
    .record(
      text(),
      z.strictObject({
        class: text().describe("What the column holds, e.g. mrn or phi."),
        action: action.describe(actionDoc),
      }),
    )
    .describe("The columns to treat and to count."),
});

/** `phi`, as written in the file. */
export const phiSchema: z.ZodType<{ readonly tables: readonly PhiTableConfig[] }> = z.strictObject({
  tables: z.array(table).prefault([]).describe("Tables with protected health information."),
});

/**
 * What the engine refuses of `document`; what the schema refuses is left to the schema. The engine
 * quotes what it refuses, so its words are kept back where a reference is in the rule.
 */
export function checkRedaction(
  document: unknown,
  written: ReadonlyMap<string, string>,
): PlacedProblem[] {
  const places = [...written.keys()];
  return problemsOf(document).map((problem) => {
    const place = placeOf(problem.path.slice(0, 3));
    const isReferenced = places.some((other) => other.startsWith(place));
    return isReferenced ? { ...problem, message: "the value of a reference is refused" } : problem;
  });
}

function problemsOf(document: unknown): PlacedProblem[] {
  const sections = (document ?? {}) as Readonly<Record<string, unknown>>;
  const redaction = redactionSchema.safeParse(sections["redaction"] ?? {}).data;
  const phi = phiSchema.safeParse(sections["phi"] ?? {}).data;
  const packs = redaction?.packs ?? [];
  const rules = redaction?.rules ?? [];
  const tables = phi?.tables ?? [];
  // One at a time: the engine stops at its first problem, and all are to be told.
  return [
    ...packs.flatMap((pack, at) => problemOf("redaction.packs", at, { packs: [pack] })),
    ...rules.flatMap((own, at) => problemOf("redaction.rules", at, { rules: [own] })),
    ...tables.flatMap((own, at) => problemOf("phi.tables", at, { phi: [own] })),
  ];
}

type Part = Partial<Pick<Parameters<typeof compileRedaction>[0], "packs" | "rules" | "phi">>;

function problemOf(list: string, at: number, part: Part): PlacedProblem[] {
  const pepper = { id: "check", key: new Uint8Array(32) };
  try {
    compileRedaction({ packs: [], rules: [], phi: [], pepper, ...part });
    return [];
  } catch (error) {
    if (!(error instanceof RuleError)) throw error;
    const place = error.path.replace(`${list}[0]`, `${list}[${at}]`);
    return [{ path: parsePlace(place), message: error.fault, hint: error.remedy }];
  }
}

/** The inverse of `placeOf`, for keys without dots and brackets. */
function parsePlace(place: string): PropertyKey[] {
  return [...place.matchAll(/[^.[\]]+/g)].map(([part]) =>
    /^\d+$/.test(part) ? Number(part) : part,
  );
}
