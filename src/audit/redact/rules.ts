/** Rules of the operator: patterns of a linear engine (RE2), never of the backtracking one. */
import { MatcherInput, RE2JS } from "re2js";
import { reasonOf } from "../../bytes/thrown.ts";
import { parseActions } from "./actions.ts";
import { HIDDEN, RULE } from "./candidates.ts";
import type { Detector, Hit, Matcher } from "./detector.ts";
import { RuleError } from "./rule-error.ts";

export interface RuleConfig {
  readonly id: string;
  /** RE2 syntax. */
  readonly pattern: string;
  readonly class: string;
  readonly action: string | readonly string[];
  /** Only values of these attribute keys or JSON members. */
  readonly keys?: readonly string[] | undefined;
  /** Only where the key or the text shortly before holds one of these words. */
  readonly context?: readonly string[] | undefined;
}

export interface CompiledRule {
  readonly detector: Detector;
  /** Byte strings of which one must be in the request for the rule to hit; undefined: unknown. */
  readonly literals: readonly string[] | undefined;
}

export const NAME: RegExp = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** @throws RuleError naming the rule, its path and what to change */
export function compileRule(rule: RuleConfig, path: string): CompiledRule {
  for (const [member, value] of [
    ["id", rule.id],
    ["class", rule.class],
  ] as const) {
    if (NAME.test(value)) continue;
    const message = `rule "${rule.id}": ${member} "${value}" is no name`;
    throw new RuleError(
      "bad_rule",
      `${path}.${member}`,
      message,
      `use 1 to 64 of A-Z a-z 0-9 _ . -`,
    );
  }
  const pattern = compilePattern(rule, `${path}.pattern`);
  const context = contextOf(rule.context);
  return {
    detector: {
      id: rule.id,
      class: rule.class,
      trigger: RULE | HIDDEN,
      matcher: matcherOf(pattern, rule.keys),
      actions: parseActions(rule.action, rule.class, `${path}.action`),
      ...(context === undefined ? {} : { context }),
    },
    literals: rule.keys === undefined ? requiredLiteral(rule.pattern) : literalsOf(rule.keys),
  };
}

function compilePattern(rule: RuleConfig, path: string): RE2JS {
  const fail = (message: string, remedy: string): RuleError =>
    new RuleError("bad_pattern", path, `rule "${rule.id}": ${message}`, remedy);
  let pattern: RE2JS;
  try {
    pattern = RE2JS.compile(rule.pattern);
  } catch (cause) {
    throw fail(reasonOf(cause), remedyFor(rule.pattern));
  }
  if (pattern.test("")) {
    throw fail("the pattern matches the empty text, so it would match everywhere", "use + for *");
  }
  return pattern;
}

function remedyFor(pattern: string): string {
  if (/\(\?<?[=!]/.test(pattern)) {
    return "look-ahead and look-behind take more than linear time: use `keys` or `context`, or \\b";
  }
  if (/\\[1-9]|\\k</.test(pattern)) {
    return "back-references take more than linear time: spell the repetition out";
  }
  return "use RE2 syntax (https://github.com/google/re2/wiki/Syntax)";
}

function contextOf(words: readonly string[] | undefined): RegExp | undefined {
  if (words === undefined || words.length === 0) return undefined;
  const parts = words.map((word) =>
    word
      .toLowerCase()
      .replace(/[^a-z0-9\x80-\uffff]+/g, " ")
      .trim()
      .replaceAll(" ", "[^a-z0-9]{0,3}"),
  );
  return new RegExp(`(?<![a-z0-9])(?:${parts.join("|")})(?![a-z0-9])`);
}

/** Texts have one character per byte; the engine gets bytes wherever that makes a difference. */
function matcherOf(pattern: RE2JS, keys: readonly string[] | undefined): Matcher {
  return (text, place) => {
    if (keys !== undefined && !keys.includes(place.rawKey) && !keys.includes(place.attribute)) {
      return [];
    }
    const bytes = NON_ASCII.test(text) ? Buffer.from(text, "latin1") : undefined;
    // Whether there is a match is told ten times as fast as where.
    if (!pattern.test(bytes?.toString() ?? text)) return [];
    const matcher = pattern.matcher(bytes === undefined ? text : MatcherInput.utf8(bytes));
    const hits: Hit[] = [];
    while (matcher.find()) {
      const start = matcher.start();
      const end = matcher.end();
      if (end > start) hits.push({ start, end });
    }
    return hits;
  };
}

const NON_ASCII = /[\x80-\xff]/;
const literalCharsMin = 2;

/** Runs of characters that JSON writes as they are, with whatever else it may escape. */
const UNESCAPED = /[ !#-&(-.0-[\]-~]+/g;

/** Of each key the longest text that stands in it however JSON writes it. */
function literalsOf(keys: readonly string[]): readonly string[] | undefined {
  const literals = keys.map((key) =>
    (key.match(UNESCAPED) ?? []).reduce((long, run) => (run.length > long.length ? run : long), ""),
  );
  return literals.every(({ length }) => length >= literalCharsMin) ? literals : undefined;
}

/**
 * The longest text that every match of the pattern holds, as far as a look at the top level shows:
 * characters outside of groups, classes and alternatives that no quantifier makes optional, and
 * that JSON does not escape.
 */
export function requiredLiteral(pattern: string): readonly string[] | undefined {
  if (/[|]|\(\?[a-zA-Z-]*[imsU]|\\Q/.test(pattern)) return undefined;
  let longest = "";
  let current = "";
  const end = (): void => {
    if (current.length > longest.length) longest = current;
    current = "";
  };
  for (let at = 0; at < pattern.length;) {
    const piece = PIECE.exec(pattern.slice(at))![0];
    at += piece.length;
    const quantifier = QUANTIFIER.exec(pattern.slice(at))![0];
    at += quantifier.length;
    const literal = literalOf(piece);
    if (literal !== undefined && quantifier === "") current += literal;
    else end();
    if (piece === "(") at = afterGroup(pattern, at);
  }
  end();
  return longest.length < literalCharsMin ? undefined : [longest];
}

/** An escape, a class, or one character. */
const PIECE =
  /^(?:\\(?:[pPx]\{[^}]*\}|x[0-9A-Fa-f]{2}|[^]?)|\[\^?\]?(?:\\[^]|\[:\w+:\]|[^\]\\])*\]|[^])/;
const QUANTIFIER = /^(?:[?*+]|\{\d*,?\d*\})?\??/;

function literalOf(piece: string): string | undefined {
  if (piece.length === 1)
    return /[\x20-\x7e]/.test(piece) && !/[\\[\](){}.*+?^$|"'/]/.test(piece) ? piece : undefined;
  return /^\\[!#-&(-.:-@[\]-`{-~]$/.test(piece) ? piece[1] : undefined;
}

function afterGroup(pattern: string, start: number): number {
  let depth = 1;
  let at = start;
  while (at < pattern.length && depth > 0) {
    const piece = PIECE.exec(pattern.slice(at))![0];
    if (piece === "(") depth++;
    if (piece === ")") depth--;
    at += piece.length;
  }
  return at;
}
