/** What is wrong with a configuration, in words: place, value, remedy. */
import { z } from "zod";
import { placeOf } from "./references.ts";

export interface Problem {
  /** Place of the key, e.g. `publish.interval`; empty where it is the file itself. */
  readonly path: string;
  /** Line in the file, from 1. */
  readonly line?: number;
  /** What was expected and what was received, never a secret. */
  readonly message: string;
  readonly hint: string;
}

/** Problems before their line is known. */
export interface PlacedProblem {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly hint: string;
}

export interface ExplainContext {
  /** The document as the schema saw it. */
  readonly input: unknown;
  /** JSON Schema of the document. */
  readonly schema: JsonSchema;
  /** Known keys at the top that this version lacks, with what to do instead. */
  readonly later: Readonly<Record<string, string>>;
  /** Values that came from references, by place, as written. */
  readonly written: ReadonlyMap<string, string>;
}

/** The part of JSON Schema that is read here. */
export interface JsonSchema {
  readonly description?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
}

const shownCharsMax = 60;
const secretKey = /token|secret|password|passwd|credential|authorization|api_?key|pepper/i;

/** `FILE:LINE: PATH: MESSAGE`, without what is unknown. */
export function formatProblem(file: string | undefined, problem: Problem): string {
  const line = problem.line === undefined ? "" : `:${problem.line}`;
  const place = file === undefined ? "" : `${file}${line}`;
  return [place, problem.path, problem.message].filter((part) => part !== "").join(": ");
}

/** One problem per unknown key, else one per finding of the schema. */
export function explain(
  issues: readonly z.core.$ZodIssue[],
  context: ExplainContext,
): PlacedProblem[] {
  return issues.flatMap((issue) => {
    if (issue.code !== "unrecognized_keys") return [explainValue(issue, context)];
    return issue.keys.map((key) => unknownKey([...issue.path, key], context));
  });
}

/** The known key that is nearest to `word`, or undefined where none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(word.length / 3));
  let best: { key: string; distance: number } | undefined;
  for (const key of known) {
    const distance = editDistance(word.toLowerCase(), key.toLowerCase());
    if (distance <= limit && (best === undefined || distance < best.distance)) {
      best = { key, distance };
    }
  }
  return best?.key;
}

/** `value` as it may be shown: short, and never what came from a reference or looks secret. */
function show(path: readonly PropertyKey[], input: unknown, context: ExplainContext): string {
  const reference = context.written.get(placeOf(path));
  if (reference !== undefined) return reference;
  if (isSecretPlace(path)) return "a hidden value";
  if (input === undefined) return "nothing";
  if (Array.isArray(input)) return "a list";
  if (typeof input === "object" && input !== null) return "a group of keys";
  const text = typeof input === "string" ? withoutUrlSecrets(input) : input;
  const shown = JSON.stringify(text) ?? typeof input;
  return shown.length > shownCharsMax ? `${shown.slice(0, shownCharsMax)}…` : shown;
}

function withoutUrlSecrets(text: string): string {
  return text.replace(/:\/\/[^/@]*@/, "://…@").replace(/^([a-z0-9+.-]+:\/\/[^?]*)\?.*$/is, "$1?…");
}

/** Whether what stands at `path` must never be printed. */
export function isSecretPlace(path: readonly PropertyKey[]): boolean {
  if (path.includes("headers")) return true;
  const key = String(path.at(-1) ?? "");
  return secretKey.test(key) && !key.endsWith("_file");
}

function unknownKey(path: readonly PropertyKey[], context: ExplainContext): PlacedProblem {
  const key = String(path.at(-1));
  const later = path.length === 1 ? context.later[key] : undefined;
  if (later !== undefined) return { path, message: "not available in this version", hint: later };
  const parent = schemaAt(context.schema, path.slice(0, -1));
  const known = Object.keys(parent?.properties ?? {});
  const near = nearest(key, known);
  const hint =
    near === undefined ? `known here: ${known.join(", ") || "no keys"}` : `did you mean ${near}?`;
  return { path, message: "unknown key", hint };
}

function explainValue(issue: z.core.$ZodIssue, context: ExplainContext): PlacedProblem {
  const { path } = issue;
  const input = valueAt(context.input, path);
  const received = show(path, input, context);
  const schema = schemaAt(context.schema, path);
  if (input === undefined && issue.code !== "custom") {
    return {
      path,
      message: "missing",
      hint: schema?.description ?? `give ${placeOf(path)} a value`,
    };
  }
  const message = `expected ${expectation(issue)}, received ${received}`;
  return {
    path,
    message,
    hint: hintOf(issue, input, schema) ?? schema?.description ?? `change ${placeOf(path)}`,
  };
}

function hintOf(
  issue: z.core.$ZodIssue,
  input: unknown,
  schema: JsonSchema | undefined,
): string | undefined {
  if (issue.code === "custom") return stringOrUndefined(issue.params?.["hint"]);
  if (issue.code === "invalid_value" && typeof input === "string") {
    const values = issue.values.map(String);
    const near = nearest(input, values);
    return near === undefined ? `write ${values.join(" or ")}` : `did you mean ${near}?`;
  }
  if (issue.code === "invalid_type" && issue.expected === "object") {
    return `put its keys below it: ${Object.keys(schema?.properties ?? {}).join(", ")}`;
  }
  if (issue.code === "invalid_type" && issue.expected === "string") return "write text, in quotes";
  return undefined;
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return typeNames[issue.expected] ?? issue.expected;
    case "invalid_value":
      return issue.values.map(String).join(" or ");
    case "invalid_union":
      return unionExpectation(issue.errors);
    case "too_small":
      if (issue.origin === "array") return `a list of at least ${issue.minimum}`;
      return issue.origin === "string" ? "text" : `at least ${issue.minimum}`;
    case "too_big":
      return `at most ${issue.maximum}`;
    case "invalid_key":
      return "a valid name";
    default:
      return issue.message;
  }
}

const typeNames: Readonly<Record<string, string>> = {
  array: "a list",
  boolean: "true or false",
  int: "an integer",
  number: "a number",
  object: "a group of keys",
  record: "a group of keys",
  string: "text",
};

function unionExpectation(errors: readonly (readonly z.core.$ZodIssue[])[]): string {
  const names = errors.flatMap((issues) => issues.slice(0, 1).map(expectation));
  return [...new Set(names)].join(" or ");
}

function schemaAt(schema: JsonSchema, path: readonly PropertyKey[]): JsonSchema | undefined {
  let at: JsonSchema | undefined = schema;
  for (const part of path) {
    if (typeof part === "number") at = at?.items;
    else {
      const additional: JsonSchema | boolean | undefined = at?.additionalProperties;
      const other = typeof additional === "object" ? additional : undefined;
      at = at?.properties?.[String(part)] ?? other;
    }
  }
  return at;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const part of path) {
    if (typeof at !== "object" || at === null) return undefined;
    at = (at as Record<PropertyKey, unknown>)[part];
  }
  return at;
}

function stringOrUndefined(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** Levenshtein distance; words are keys, so the quadratic table stays small. */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [row, letter] of Array.from(from).entries()) {
    const current = [row + 1];
    for (let column = 0; column < to.length; column += 1) {
      const substitution = (previous[column] ?? 0) + (to[column] === letter ? 0 : 1);
      const insertion = (current[column] ?? 0) + 1;
      const deletion = (previous[column + 1] ?? 0) + 1;
      current.push(Math.min(substitution, insertion, deletion));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}
