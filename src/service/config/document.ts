/** The YAML document of the configuration: its plain value, and the line of each key. */
import { isMap, isNode, isScalar, LineCounter, parseDocument } from "yaml";
import type { Document } from "yaml";
import { exporterAliases } from "./exporters.ts";
import { placeOf } from "./references.ts";
import type { PlacedProblem, Problem } from "./problems.ts";

export interface ConfigDocument {
  /** Aliases resolved, keys without a value left out. */
  readonly value: unknown;
  /** What keeps the text from being read at all. */
  readonly problems: readonly Problem[];
  readonly locate: (problem: PlacedProblem) => Problem;
}

/** Groups that are switched on by their name alone, as in the Collector. */
const switchedOnByName = new Set(["receivers.otlp.protocols", "exporters"]);
const aliasCountMax = 100;

/** Reads `text`; attacker-controlled only where the configuration file is. */
export function parseYaml(text: string): ConfigDocument {
  const lines = new LineCounter();
  // Pretty errors would quote the text, which may hold secrets.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const locate = locator(document, lines);
  const problems = document.errors.map(({ message, pos }): Problem => ({
    path: "",
    line: lines.linePos(pos[0]).line,
    message: `not readable as YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`,
    hint: yamlHints(message),
  }));
  if (problems.length > 0) return { value: undefined, problems, locate };
  return valueOf(document, locate);
}

function yamlHints(message: string): string {
  if (message.includes("unique")) return "write each key once";
  if (/tab/i.test(message)) return "indent with spaces";
  return "check indentation, quotes and brackets there; quote values that hold : or #";
}

function valueOf(document: Document, locate: ConfigDocument["locate"]): ConfigDocument {
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: aliasCountMax }) ?? {};
  } catch {
    const message = `more than ${aliasCountMax} aliases`;
    return { value, problems: [{ path: "", message, hint: "write values out" }], locate };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const message = "expected a group of keys at the top of the file";
    return {
      value,
      problems: [{ path: "", message, hint: "begin with for example ledger:" }],
      locate,
    };
  }
  const renamed = renameAliases(value as Record<string, unknown>);
  return { value: fillBlanks(renamed.value, []), problems: renamed.problems.map(locate), locate };
}

function renameAliases(value: Record<string, unknown>): {
  value: Record<string, unknown>;
  problems: PlacedProblem[];
} {
  const exporters = value["exporters"];
  const problems: PlacedProblem[] = [];
  if (typeof exporters !== "object" || exporters === null) return { value, problems };
  const renamed: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(exporters)) {
    const name = exporterAliases[key] ?? key;
    if (name in renamed) {
      const hint = `write ${name} once, without its alias`;
      problems.push({ path: ["exporters", key], message: `${name} is given twice`, hint });
    }
    renamed[name] = member;
  }
  return { value: { ...value, exporters: renamed }, problems };
}

/** A key without a value is as if left out, but for what its name alone switches on. */
function fillBlanks(value: unknown, path: readonly string[]): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const named = switchedOnByName.has(path.join("."));
  const members = Object.entries(value).map(([key, member]): [string, unknown] => [
    key,
    member === null ? (named ? {} : undefined) : fillBlanks(member, [...path, key]),
  ]);
  return Object.fromEntries(members);
}

function locator(document: Document, lines: LineCounter): ConfigDocument["locate"] {
  return ({ path, message, hint }) => {
    const problem = { path: placeOf(path), message, hint };
    const offset = offsetOf(document, path);
    return offset === undefined ? problem : { ...problem, line: lines.linePos(offset).line };
  };
}

/** Where the key at `path` begins, or its nearest parent that is in the document. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const written = asWritten(document, path.slice(0, length));
    const parent = document.getIn(written.slice(0, -1), true);
    const last = written.at(-1);
    const pair = isMap(parent)
      ? parent.items.find(({ key }) => isScalar(key) && key.value === last)
      : undefined;
    const node = pair?.key ?? document.getIn(written, true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return undefined;
}

function asWritten(document: Document, path: readonly PropertyKey[]): PropertyKey[] {
  const written = [...path];
  if (written[0] !== "exporters" || document.hasIn(written.slice(0, 2))) return written;
  const alias = Object.entries(exporterAliases).find(([, name]) => name === written[1]);
  if (alias !== undefined) written[1] = alias[0];
  return written;
}
