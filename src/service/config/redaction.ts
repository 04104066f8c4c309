/** The schema of `redaction` and `phi`. What the rules mean is checked by the redaction engine. */
import { z } from "zod";
import type { PhiTableConfig, RedactionConfig } from "./model.ts";
import { text } from "./values.ts";

const action = z
  .union([text(), z.array(text()).min(1)])
  .describe("`mask`, `drop`, `hash`, `tokenize`, `truncate:n`, `bucket:n`, `range:n`, or a list.");

const rule = z.strictObject({
  id: text().describe("Name of the rule, as it stands in the redaction trail."),
  pattern: text().describe("Regular expression (RE2 syntax: linear time, no back-references)."),
  class: text().describe("What is found, e.g. employee_id. It stands in the mask."),
  action: action.prefault("mask"),
});

/** `redaction`, as written in the file. */
export const redactionSchema: z.ZodType<RedactionConfig> = z.strictObject({
  packs: z
    .array(text())
    .prefault(["core", "secrets", "us"])
    .describe("Built-in detectors. `[]` without rules turns redaction off; a record says so."),
  rules: z.array(rule).prefault([]).describe("Rules of your own."),
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
        action,
      }),
    )
    .describe("The columns to treat and to count."),
});

/** `phi`, as written in the file. */
export const phiSchema: z.ZodType<{ readonly tables: readonly PhiTableConfig[] }> = z.strictObject({
  tables: z.array(table).prefault([]).describe("Tables with protected health information."),
});
