/**
 * What happens to a hit. Actions are chained left to right; a chain that would leave a value
 * guessable is refused when the policy is compiled.
 */
import { keyedDigest, type Pepper } from "./keyed.ts";
import { RuleError } from "./rule-error.ts";

type Step =
  | { readonly kind: "mask" | "drop" | "hash" | "tokenize" }
  | { readonly kind: "truncate" | "bucket" | "range"; readonly width: number };

export interface Actions {
  /** As it stands in the trail, e.g. `tokenize,truncate:4`. */
  readonly name: string;
  readonly steps: readonly Step[];
}

export const mask: Actions = { name: "mask", steps: [{ kind: "mask" }] };
export const tokenize: Actions = { name: "tokenize", steps: [{ kind: "tokenize" }] };

/** Values that share one truncated token, at least: fewer would let a guess be confirmed. */
const crowd = 100;

/** Classes whose values can be tried one by one, with the number of them. */
const smallDomains: ReadonlyMap<string, number> = new Map([
  ["ssn", 898 * 99 * 9999],
  ["socialsecuritynumber", 898 * 99 * 9999],
  ["phone", 8e2 * 8e2 * 1e4],
  ["phonenumber", 8e2 * 8e2 * 1e4],
  ["telephone", 8e2 * 8e2 * 1e4],
  ["mrn", 1e7],
  ["medicalrecordnumber", 1e7],
  ["email", 4e9],
  ["emailaddress", 4e9],
  ["dateofbirth", 45_000],
  ["birthdate", 45_000],
  ["dob", 45_000],
]);

function domainSize(what: string): number | undefined {
  const plain = what.toLowerCase().replace(/[^a-z]/g, "");
  return smallDomains.get(plain) ?? smallDomains.get(plain.replace(/^us/, ""));
}

/** Hexadecimal digits of a token that leave at least `crowd` values for each. */
export function tokenDigitsMax(what: string): number {
  const size = domainSize(what);
  if (size === undefined) return digestDigits;
  return Math.max(1, Math.floor(Math.log2(size / crowd) / 4));
}

const digestDigits = 64;
const tokenDigits = 32;

/** More decades than a number has digits say nothing. */
const widthsMax = { truncate: 999_999_999, bucket: 999_999_999, range: 15 } as const;

/** @throws RuleError `bad_action` or `small_domain` */
export function parseActions(
  written: string | readonly string[],
  what: string,
  path: string,
): Actions {
  const texts = typeof written === "string" ? [written] : written;
  if (texts.length === 0) throw badAction(path, "no action", "name one, e.g. mask");
  const steps = texts.map((text) => parseStep(text, path));
  checkChain(steps, path);
  checkDomain(steps, what, path);
  return { name: texts.join(","), steps };
}

function parseStep(text: string, path: string): Step {
  const [kind, width, ...rest] = text.split(":");
  if (rest.length === 0) {
    switch (kind) {
      case "mask":
      case "drop":
      case "hash":
      case "tokenize":
        if (width === undefined) return { kind };
        break;
      case "truncate":
      case "bucket":
      case "range":
        if (
          width !== undefined &&
          /^[1-9]\d{0,8}$/.test(width) &&
          Number(width) <= widthsMax[kind]
        ) {
          return { kind, width: Number(width) };
        }
        throw badAction(
          path,
          `"${text}" lacks its width`,
          `write ${kind}:n with n from 1 to ${widthsMax[kind]}`,
        );
      default:
    }
  }
  throw badAction(
    path,
    `unknown action "${text}"`,
    "use mask, drop, hash, tokenize, truncate:n, bucket:n or range:n",
  );
}

function badAction(path: string, message: string, remedy: string): RuleError {
  return new RuleError("bad_action", path, message, remedy);
}

const isKeyed = (step: Step): boolean => step.kind === "hash" || step.kind === "tokenize";

function checkChain(steps: readonly Step[], path: string): void {
  steps.forEach((step, at) => {
    if (at > 0 && (isKeyed(step) || step.kind === "mask" || step.kind === "drop")) {
      throw badAction(path, `${step.kind} comes after another action`, `put ${step.kind} first`);
    }
    if (at === 0) return;
    const before = steps[at - 1]!;
    if (before.kind === "mask" || before.kind === "drop") {
      throw badAction(path, `${step.kind} after ${before.kind} has no effect`, "leave one of them");
    }
    if (!isKeyed(steps[0]!) || step.kind !== "truncate" || at > 1) {
      throw badAction(
        path,
        `${step.kind} after ${before.kind} has no meaning`,
        "only truncate:n may follow, and only hash or tokenize",
      );
    }
    if (step.width > (before.kind === "hash" ? digestDigits : tokenDigits)) {
      throw badAction(path, `truncate:${step.width} is longer than the token`, "shorten it");
    }
  });
}

function checkDomain(steps: readonly Step[], what: string, path: string): void {
  if (!isKeyed(steps[0]!) || domainSize(what) === undefined) return;
  const allowed = tokenDigitsMax(what);
  const second = steps[1];
  if (second?.kind === "truncate" && second.width <= allowed) return;
  const problem =
    second?.kind === "truncate"
      ? `truncate:${second.width} after ${steps[0]!.kind} is too wide for class "${what}"`
      : `${steps[0]!.kind} alone is not enough for class "${what}"`;
  throw new RuleError(
    "small_domain",
    path,
    `${problem}: all its values can be tried one by one`,
    `use [${steps[0]!.kind}, 'truncate:${allowed}'] (at most ${allowed}), mask or drop`,
  );
}

/** What the actions work with besides the value. */
export interface Treatment {
  readonly class: string;
  readonly pepper: Pepper;
  readonly tenant: string;
  /** The value in the one spelling that tokens are computed over. */
  readonly normalized: string;
}

/** Class of a value that was masked whole because looking into it would cost too much. */
export const unexaminedClass = "unexamined";

interface Mask {
  readonly text: string;
  readonly bytes: Buffer;
}

/** By class, of which a policy has few: each hit asks anew. */
const masks = new Map<string, Mask>();

function maskOf(what: string): Mask {
  let one = masks.get(what);
  if (one === undefined) {
    const text = `[REDACTED:${what}]`;
    one = { text, bytes: Buffer.from(text, "latin1") };
    masks.set(what, one);
  }
  return one;
}

export function maskText(what: string): string {
  return maskOf(what).text;
}

/** What is put in place of a hit, as bytes that are not to be changed. */
export function bytesOf(text: string, what: string): Buffer {
  const one = maskOf(what);
  return text === one.text ? one.bytes : Buffer.from(text, "latin1");
}

/** Whether the hit's attribute, member or element is to be removed. */
export function drops(actions: Actions): boolean {
  return actions.steps[0]?.kind === "drop";
}

/**
 * The text that stands for `value` (one character per code point). A drop where nothing can be
 * removed is a mask, and so is an action that has no meaning for the value or would leave it whole.
 */
export function applyActions(actions: Actions, value: string, treatment: Treatment): string {
  const [first, second] = actions.steps;
  switch (first?.kind) {
    case "hash":
    case "tokenize":
      return token(first.kind, second, treatment);
    case "truncate": {
      const characters = Array.from(value);
      if (characters.length <= first.width) return maskText(treatment.class);
      return characters.slice(0, first.width).join("");
    }
    case "bucket":
    case "range": {
      const number = numberIn(value);
      if (number === undefined) return maskText(treatment.class);
      return first.kind === "bucket" ? bucket(number, first.width) : range(number, first.width);
    }
    default:
      return maskText(treatment.class);
  }
}

function token(kind: "hash" | "tokenize", second: Step | undefined, treatment: Treatment): string {
  const { pepper, tenant, normalized } = treatment;
  const digest = keyedDigest(pepper, tenant, treatment.class, normalized);
  const digits = kind === "hash" ? digestDigits : tokenDigits;
  const width = second?.kind === "truncate" ? second.width : digits;
  const prefix = kind === "hash" ? "hash" : "tok";
  return `${prefix}_${treatment.class}_${pepper.id}_${digest.slice(0, width)}`;
}

/** The number that `value` is, or its year where it is a date. */
function numberIn(value: string): number | undefined {
  const text = value.trim();
  if (/^[+-]?\d{1,15}(?:\.\d{1,15})?$/.test(text)) return Number(text);
  const year = /^((?:18|19|20)\d{2})[-/.]\d{1,2}[-/.]\d{1,2}/.exec(text);
  if (year !== null) return Number(year[1]);
  const last = /^\d{1,2}[-/.]\d{1,2}[-/.]((?:18|19|20)\d{2})$/.exec(text);
  return last === null ? undefined : Number(last[1]);
}

/** The multiple of `width` at or below the number. */
function bucket(number: number, width: number): string {
  return String(Math.floor(number / width) * width);
}

/** The powers of ten around the number, `decades` wide: `range:1` of 47 is `10-99`. */
function range(number: number, decades: number): string {
  const size = Math.abs(Math.trunc(number));
  if (size === 0) return "0";
  const first = Math.floor((String(size).length - 1) / decades) * decades;
  const low = 10n ** BigInt(first);
  const high = 10n ** BigInt(first + decades) - 1n;
  return number < 0 ? `-${high}--${low}` : `${low}-${high}`;
}
