/** The redaction part of a configuration, checked and made ready once. */
import { compileTables, type PhiTable, type PhiTableConfig } from "../phi/tables.ts";
import { tokenize, unexaminedClass, type Actions } from "./actions.ts";
import { detectorsOf } from "./detectors/packs.ts";
import type { Detector } from "./detector.ts";
import { identityKeySet } from "./keys.ts";
import type { Pepper } from "./keyed.ts";
import { RuleError } from "./rule-error.ts";
import { compileRule, NAME, type CompiledRule, type RuleConfig } from "./rules.ts";

export type { PhiColumnConfig, PhiTableConfig } from "../phi/tables.ts";
export type { RuleConfig } from "./rules.ts";
export type { Pepper } from "./keyed.ts";

/** Plain data. Everything has a meaning without the others: `packs: []` leaves the rules alone. */
export interface RedactionConfig {
  readonly packs: readonly string[];
  readonly rules: readonly RuleConfig[];
  readonly phi: readonly PhiTableConfig[];
  readonly pepper: Pepper;
  /**
   * Where the tenant that separates tokens comes from: the first of these attribute keys that the
   * item, then its scope, then its resource has, else the default (`default`).
   */
  readonly tenant?: { readonly from: readonly string[]; readonly default: string } | undefined;
  /** More keys that say who and where, e.g. those that the namespace is read from. */
  readonly identityKeys?: readonly string[] | undefined;
}

export interface RedactionPolicy {
  /** True where nothing is looked for: requests pass byte for byte. */
  readonly off: boolean;
  /** In order of precedence: the operator's rules, then the packs'. */
  readonly detectors: readonly Detector[];
  readonly ruleDetectors: readonly Detector[];
  /** Byte strings that make a value a candidate for the operator's rules. */
  readonly literals: readonly string[];
  /** Whether some rule has no such string, so that every value is a candidate. */
  readonly everyValue: boolean;
  readonly tables: readonly PhiTable[];
  /** Names of declared tools and collections, folded. */
  readonly tableNames: readonly string[];
  readonly pepper: Pepper;
  readonly tenant: { readonly from: readonly string[]; readonly default: string };
  readonly identityKeys: ReadonlySet<string>;
  /** Masks and tokens of this policy, which are never hit again. */
  readonly shield: RegExp;
}

/** @throws RuleError for the first problem, with rule, path and remedy */
export function compileRedaction(config: RedactionConfig): RedactionPolicy {
  checkPepper(config.pepper);
  const rules = config.rules.map((rule, at) => compileRule(rule, `redaction.rules[${at}]`));
  checkIds(config.rules);
  const packs = detectorsOf(config.packs);
  const tables = compileTables(config.phi);
  const ruleDetectors = rules.map(({ detector }) => detector);
  const detectors = [...ruleDetectors, ...packs];
  const tenant = config.tenant ?? { from: ["tenant.id"], default: "default" };
  return {
    off: detectors.length === 0 && tables.length === 0,
    detectors,
    ruleDetectors,
    literals: rules.flatMap(({ literals }) => literals ?? []),
    everyValue: rules.some(({ literals }: CompiledRule) => literals === undefined),
    tables,
    tableNames: [...new Set(tables.flatMap(({ names }) => names))],
    pepper: config.pepper,
    tenant,
    identityKeys: identityKeySet([...tenant.from, ...(config.identityKeys ?? [])]),
    shield: shieldOf(config.pepper.id, writtenBy(detectors, tables)),
  };
}

function checkPepper(pepper: Pepper): void {
  if (NAME.test(pepper.id) && pepper.key.length >= 32) return;
  throw new RuleError(
    "bad_pepper",
    "keys.pepper",
    `expected an id of A-Z a-z 0-9 _ . - and 32 bytes, received ${pepper.key.length} bytes`,
    "create one with `spanseal keys init`",
  );
}

function checkIds(rules: readonly RuleConfig[]): void {
  rules.forEach(({ id }, at) => {
    const first = rules.findIndex((rule) => rule.id === id);
    if (first === at) return;
    const message = `rule "${id}" has the id of redaction.rules[${first}]`;
    throw new RuleError("bad_rule", `redaction.rules[${at}].id`, message, "choose another id");
  });
}

/** A class and what puts something in the place of its values. */
interface Writer {
  readonly class: string;
  readonly actions: Actions;
}

function writtenBy(detectors: readonly Detector[], tables: readonly PhiTable[]): Writer[] {
  const columns = tables.flatMap((table) => [...table.columns.values()]);
  return [{ class: unexaminedClass, actions: tokenize }, ...detectors, ...columns];
}

/**
 * Masks and tokens that this policy may have written, cut or not. Only of its own classes: what a
 * sender writes between the brackets is looked at like any text.
 */
function shieldOf(pepperId: string, writers: readonly Writer[]): RegExp {
  const literal = (text: string): string => text.replace(/[.-]/g, "\\$&");
  const names = [...new Set(writers.map((one) => one.class))].toSorted(
    (a, b) => b.length - a.length,
  );
  const what = `(?:${names.map(literal).join("|")})`;
  const widths = [...new Set(writers.flatMap(({ actions }) => tokenWidth(actions) ?? []))];
  // Whole tokens may touch their neighbours, cut ones must end for themselves. Of digits alone only
  // those that were written so: a sender could make a token of any number.
  const short = [...widths.map((width) => `[0-9a-f]{${width}}`), "[0-9]{0,30}[a-f][0-9a-f]{0,30}"];
  const digits = `(?:[0-9a-f]{64}|[0-9a-f]{32}|(?:${short.join("|")})(?![0-9A-Za-z]))`;
  const token = `(?:tok|hash)_${what}_${literal(pepperId)}_`;
  return new RegExp(`\\[REDACTED(?::${what})?\\]|${token}${digits}`, "g");
}

/** Digits of the tokens of a chain that shortens them. */
function tokenWidth({ steps: [first, second] }: Actions): number | undefined {
  const keyed = first?.kind === "hash" || first?.kind === "tokenize";
  return keyed && second?.kind === "truncate" ? second.width : undefined;
}
