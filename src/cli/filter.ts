/** Which records a reader asked for. */
import { OUTCOME_STATUSES } from "../audit/conventions/convention.ts";
import { DECISION_OUTCOMES } from "../audit/conventions/decision.ts";
import { ACTION_TYPES } from "../audit/members.ts";
import { redactText } from "../audit/redact/text.ts";
import { toHex } from "../bytes/hex.ts";
import type { StoredRecord } from "../ledger/read.ts";
import { parseDuration } from "../service/config/values.ts";
import { openAuditPolicy } from "./audit-policy.ts";
import { CommandError, exitCodes } from "./errors.ts";
import type { LocationOptions } from "./locate.ts";
import type { Head } from "../ledger/chain.ts";
import { CONTROL_KINDS } from "../ledger/control.ts";
import { say } from "./output.ts";
import { memberOf, readable } from "./records.ts";
import type { ReadableRecord } from "./records.ts";

export interface FilterOptions {
  readonly since?: string;
  readonly until?: string;
  readonly namespace?: string;
  readonly tenant?: string;
  readonly kind?: string;
  readonly type?: string;
  readonly tool?: string;
  readonly agent?: string;
  readonly user?: string;
  readonly outcome?: string;
  readonly trace?: string;
  readonly text?: string;
}

export type Filter = (stored: StoredRecord) => ReadableRecord | undefined;

/** The bounds of `--since` and `--until` in nanoseconds, for a reader that can skip what is outside. */
export function timeRange(options: FilterOptions): { fromTime?: bigint; toTime?: bigint } {
  return {
    ...(options.since === undefined ? {} : { fromTime: parseTime("--since", options.since) }),
    ...(options.until === undefined ? {} : { toTime: parseTime("--until", options.until) }),
  };
}

/** @returns what gives a matching record as readers print it, and undefined for any other. */
export async function compileFilter(options: FilterOptions & LocationOptions): Promise<Filter> {
  checkWords(options);
  const tokens = await openTokens(options);
  const ofHead = headFilter(options, tokens);
  const ofBody = bodyFilters(options, tokens);
  const containsText = textFilter(options.text);
  return (stored) => {
    if (!ofHead(stored) || !containsText(stored)) return undefined;
    const record = readable(stored);
    return ofBody.every((matches) => matches(record)) ? record : undefined;
  };
}

/** Words of closed lists. One that is in none would find nothing, which reads like good news. */
const WORDS = {
  kind: ["action", ...CONTROL_KINDS],
  type: ACTION_TYPES,
  outcome: [...new Set([...OUTCOME_STATUSES, ...DECISION_OUTCOMES])],
} as const;

function checkWords(options: FilterOptions): void {
  for (const [name, words] of Object.entries(WORDS) as [keyof typeof WORDS, string[]][]) {
    const given = options[name];
    if (given === undefined || words.includes(given)) continue;
    throw new CommandError(`--${name} ${given} is no ${name} of a record`, {
      hint: `give one of ${words.join(", ")}`,
      exitCode: exitCodes.cannotTell,
    });
  }
}

function headFilter(
  { namespace, tenant, kind }: FilterOptions,
  tokens: Tokens | undefined,
): (stored: StoredRecord) => boolean {
  const isName = (given: string | undefined, name: "namespace" | "tenant", head: Head): boolean =>
    given === undefined ||
    head[name] === given ||
    tokens!.keysOf[name].some((key) => tokens!.of(given, key, head.tenant) === head[name]);
  return ({ head }) =>
    (kind === undefined || head.kind === kind) &&
    isName(tenant, "tenant", head) &&
    isName(namespace, "namespace", head);
}

/** As it was written, or as JSON writes it: a quotation mark in a value has a backslash there. */
function textFilter(text: string | undefined): (stored: StoredRecord) => boolean {
  if (text === undefined) return () => true;
  const plain = text.toLowerCase();
  const escaped = JSON.stringify(text).slice(1, -1).toLowerCase();
  return (stored) => {
    const body = bodyText(stored);
    return body.includes(plain) || body.includes(escaped);
  };
}

function bodyText({ head, body }: StoredRecord): string {
  return `${toHex(head.id)} ${Buffer.from(body ?? []).toString()}`.toLowerCase();
}

type BodyFilter = (record: ReadableRecord) => boolean;

function bodyFilters(options: FilterOptions, tokens: Tokens | undefined): BodyFilter[] {
  const filters: BodyFilter[] = [];
  const add = (wanted: string | undefined, ...paths: string[]): void => {
    if (wanted === undefined) return;
    filters.push(({ body }) => paths.some((path) => memberOf(body, path) === wanted));
  };
  add(options.type, "action.type");
  add(options.tool, "tool.name");
  add(options.outcome, "outcome.status", "decision.outcome");
  add(options.trace?.toLowerCase(), "trace.trace_id");
  const addIdentity = (wanted: string | undefined, members: Members): void => {
    if (wanted !== undefined) filters.push(identityFilter(wanted, tokens!, members));
  };
  addIdentity(options.agent, AGENT_MEMBERS);
  addIdentity(options.user, USER_MEMBERS);
  return filters;
}

type Members = Readonly<Record<string, string>>;

/** Member of the body → the attribute key by whose rule it was tokenised. */
const AGENT_MEMBERS: Members = {
  "actor.agent.name": "gen_ai.agent.name",
  "actor.agent.id": "gen_ai.agent.id",
};
const USER_MEMBERS: Members = { "actor.user.id": "user.id", "actor.on_behalf_of": "user.id" };

function identityFilter(wanted: string, tokens: Tokens, members: Members): BodyFilter {
  return ({ body, tenant }) =>
    Object.entries(members).some(([path, key]) => {
      const value = memberOf(body, path);
      if (value === undefined) return false;
      return value === wanted || value === tokens.of(wanted, key, tenant);
    });
}

/** Who and where is tokenised per tenant where a rule hit it, so the wanted value is too. */
interface Tokens {
  /** `wanted` as the value of this attribute key in a record of this tenant. */
  of(wanted: string, key: string, tenant: string): string;
  /** The attribute keys that names come from. */
  readonly keysOf: Readonly<Record<"namespace" | "tenant", readonly string[]>>;
}

/** Undefined where no filter asks for who or where. */
async function openTokens(options: FilterOptions & LocationOptions): Promise<Tokens | undefined> {
  const { agent, user, namespace, tenant } = options;
  if ([agent, user, namespace, tenant].every((wanted) => wanted === undefined)) return undefined;
  const { policy, note } = await openAuditPolicy(options);
  const made = new Map<string, string>();
  let isNoted = note === undefined;
  return {
    keysOf: { namespace: policy.namespace.from, tenant: policy.tenant.from },
    of(wanted, key, tenantName) {
      const place = JSON.stringify([wanted, key, tenantName]);
      let token = made.get(place);
      if (token === undefined) {
        token = redactText(wanted, policy.redaction, { key, tenant: tenantName }).text;
        made.set(place, token);
        if (token !== wanted && !isNoted) say(note!);
        isNoted ||= token !== wanted;
      }
      return token;
    },
  };
}

const nanosecondsPerMillisecond = 1_000_000n;
const RFC_3339 =
  /^(?<date>\d{4}-\d\d-\d\d)(?:[Tt ](?<clock>\d\d:\d\d:\d\d)(?:\.(?<fraction>\d{1,9}))?(?<zone>[Zz]|[+-]\d\d:\d\d))?$/;

/** RFC 3339 (or a day of it, in UTC), or a duration that is so long ago. */
function parseTime(option: string, text: string): bigint {
  const ago = parseDuration(text);
  if (ago !== undefined) return BigInt(Date.now() - ago) * nanosecondsPerMillisecond;
  const { date, clock = "00:00:00", fraction = "", zone = "Z" } = RFC_3339.exec(text)?.groups ?? {};
  const milliseconds = Date.parse(`${date}T${clock}${zone.toUpperCase()}`);
  if (!Number.isNaN(milliseconds) && isOnCalendar(date!)) {
    // What readers print has nanoseconds: taken as it stands, it is a bound between two records.
    return BigInt(milliseconds) * nanosecondsPerMillisecond + BigInt(fraction.padEnd(9, "0"));
  }
  throw new CommandError(`${option} ${text} is no time`, {
    hint: "give RFC 3339 such as 2026-11-21T08:00:00Z, or how long ago: 90m, 24h, 7d",
    exitCode: exitCodes.cannotTell,
  });
}

/** `Date.parse` carries the 30th of February on into March. */
function isOnCalendar(date: string): boolean {
  return new Date(`${date}T00:00:00Z`).toISOString().startsWith(date);
}
