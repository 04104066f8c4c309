/** Which records a reader asked for. */
import { redactText } from "../audit/redact/text.ts";
import type { RedactionPolicy } from "../audit/redact/policy.ts";
import { toHex } from "../bytes/hex.ts";
import type { StoredRecord } from "../ledger/read.ts";
import { parseDuration } from "../service/config/values.ts";
import { locateAuditPolicy } from "./audit-policy.ts";
import { CommandError, exitCodes } from "./errors.ts";
import type { LocationOptions } from "./locate.ts";
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
  const ofHead = headFilter(options);
  const ofBody = await bodyFilters(options);
  const text = options.text?.toLowerCase();
  return (stored) => {
    if (!ofHead(stored)) return undefined;
    if (text !== undefined && !bodyText(stored).includes(text)) return undefined;
    const record = readable(stored);
    return ofBody.every((matches) => matches(record)) ? record : undefined;
  };
}

function headFilter({ namespace, tenant, kind }: FilterOptions): (stored: StoredRecord) => boolean {
  return ({ head }) =>
    (namespace === undefined || head.namespace === namespace) &&
    (tenant === undefined || head.tenant === tenant) &&
    (kind === undefined || head.kind === kind);
}

function bodyText({ head, body }: StoredRecord): string {
  return `${toHex(head.id)} ${Buffer.from(body ?? []).toString()}`.toLowerCase();
}

type BodyFilter = (record: ReadableRecord) => boolean;

async function bodyFilters(options: FilterOptions & LocationOptions): Promise<BodyFilter[]> {
  const filters: BodyFilter[] = [];
  const add = (wanted: string | undefined, ...paths: string[]): void => {
    if (wanted === undefined) return;
    filters.push(({ body }) => paths.some((path) => memberOf(body, path) === wanted));
  };
  add(options.type, "action.type");
  add(options.tool, "tool.name");
  add(options.outcome, "outcome.status", "decision.outcome");
  add(options.trace?.toLowerCase(), "trace.trace_id");
  if (options.agent !== undefined || options.user !== undefined) {
    const { redaction } = await locateAuditPolicy(options);
    if (options.agent !== undefined) {
      filters.push(identityFilter(options.agent, redaction, AGENT_MEMBERS));
    }
    if (options.user !== undefined) {
      filters.push(identityFilter(options.user, redaction, USER_MEMBERS));
    }
  }
  return filters;
}

/** Member of the body → the attribute key by whose rule it was tokenised. */
const AGENT_MEMBERS = {
  "actor.agent.name": "gen_ai.agent.name",
  "actor.agent.id": "gen_ai.agent.id",
} as const;
const USER_MEMBERS = { "actor.user.id": "user.id", "actor.on_behalf_of": "user.id" } as const;

/** Who and where is tokenised per tenant where a rule hit it, so the wanted value is too. */
function identityFilter(
  wanted: string,
  policy: RedactionPolicy,
  members: Readonly<Record<string, string>>,
): BodyFilter {
  const tokens = new Map<string, string>();
  const tokenOf = (key: string, tenant: string): string => {
    const place = `${key} ${tenant}`;
    let token = tokens.get(place);
    if (token === undefined) {
      token = redactText(wanted, policy, { key, tenant }).text;
      tokens.set(place, token);
    }
    return token;
  };
  return ({ body, tenant }) =>
    Object.entries(members).some(([path, key]) => {
      const value = memberOf(body, path);
      return value === wanted || (value !== undefined && value === tokenOf(key, tenant));
    });
}

const nanosecondsPerMillisecond = 1_000_000n;

/** RFC 3339, or a duration that is so long ago. */
function parseTime(option: string, text: string): bigint {
  const ago = parseDuration(text);
  const milliseconds = ago === undefined ? Date.parse(text) : Date.now() - ago;
  if (!Number.isNaN(milliseconds) && (ago !== undefined || /^\d{4}-\d\d-\d\d/.test(text))) {
    return BigInt(Math.trunc(milliseconds)) * nanosecondsPerMillisecond;
  }
  throw new CommandError(`${option} ${text} is no time`, {
    hint: "give RFC 3339 such as 2026-11-21T08:00:00Z, or how long ago: 90m, 24h, 7d",
    exitCode: exitCodes.cannotTell,
  });
}
