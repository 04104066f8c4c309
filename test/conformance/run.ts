/** Asks a receiver every question of the table. */
import { reasonOf } from "../../src/bytes/thrown.ts";
import { askHttp, callGrpc } from "./clients.ts";
import { grpcRules } from "./grpc-rules.ts";
import { httpRules } from "./http-rules.ts";
import { payloadRules } from "./payload-rules.ts";
import { arrivalFault, type Case, grpcFault, httpFault, type Receiver, type Rule } from "./rule.ts";

export const rules: readonly Rule[] = [...httpRules, ...grpcRules, ...payloadRules];

/**
 * `unsupported`: answered as by somebody who has decided not to support it, where that is allowed.
 * `unasked`: no address for its transport, or it takes a receiver that can be configured.
 */
export type Verdict = "pass" | "fail" | "unsupported" | "unasked";

export interface Outcome {
  readonly rule: Rule;
  readonly case: Case;
  readonly verdict: Verdict;
  /** What is wrong, why it is not supported, or where it is asked. */
  readonly detail: string;
}

/** All cases of `asked`, a few at a time; in the order of the table. */
export async function askAll(
  receiver: Receiver,
  asked: readonly Rule[] = rules,
): Promise<Outcome[]> {
  const questions = asked.flatMap((rule) => rule.cases.map((one) => ({ rule, case: one })));
  const outcomes: Outcome[] = [];
  const atOnce = 8;
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < questions.length) {
      const at = next++;
      const question = questions[at]!;
      outcomes[at] = { ...question, ...(await judge(question.case, receiver)) };
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return outcomes;
}

type Judged = Pick<Outcome, "verdict" | "detail">;

export async function judge(asked: Case, receiver: Receiver): Promise<Judged> {
  if ("test" in asked) {
    return { verdict: "unasked", detail: `a test: ${asked.test.file}, "${asked.test.title}"` };
  }
  const address = receiver[transportOf(asked)];
  if (address === undefined) return { verdict: "unasked", detail: "no address" };
  try {
    const { fault, otherwise } = await ask(asked, address, receiver);
    if (fault === undefined) return { verdict: "pass", detail: "" };
    if (otherwise === undefined) {
      return { verdict: "unsupported", detail: asked.deliberate?.reason ?? "" };
    }
    return { verdict: "fail", detail: fault };
  } catch (error) {
    return { verdict: "fail", detail: reasonOf(error) };
  }
}

function transportOf(asked: Exclude<Case, { test: unknown }>): "http" | "grpc" {
  if ("request" in asked) return "http";
  return "call" in asked ? "grpc" : asked.transport;
}

interface Faults {
  /** What breaks the rule; undefined where it is kept. */
  readonly fault: string | undefined;
  /** What breaks the decision not to support it; undefined where the answer is that decision. */
  readonly otherwise: string | undefined;
}

async function ask(
  asked: Exclude<Case, { test: unknown }>,
  address: string,
  receiver: Receiver,
): Promise<Faults> {
  const { deliberate } = asked;
  if ("request" in asked) {
    const answer = await askHttp(address, asked.request);
    const fault = httpFault(answer, asked.expected) ?? (await notArrived(asked.arrives, receiver));
    const other = deliberate?.http;
    return { fault, otherwise: other === undefined ? fault : httpFault(answer, other) };
  }
  if ("call" in asked) {
    const answer = await callGrpc(address, asked.call);
    const fault = grpcFault(answer, asked.expected);
    const other = deliberate?.grpc;
    return { fault, otherwise: other === undefined ? fault : grpcFault(answer, other) };
  }
  const fault = await asked.probe(address);
  return { fault, otherwise: deliberate === undefined ? fault : undefined };
}

async function notArrived(
  arrives: Extract<Case, { request: unknown }>["arrives"],
  receiver: Receiver,
): Promise<string | undefined> {
  if (arrives === undefined || receiver.passedOn === undefined) return undefined;
  return arrivalFault(await receiver.passedOn(arrives.signal, arrives.name), arrives);
}

export interface RuleOutcome {
  readonly rule: Rule;
  /** `part` where some cases pass and others are not supported. */
  readonly verdict: Verdict | "part";
  readonly cases: readonly Outcome[];
}

/** One verdict a rule. */
export function byRule(outcomes: readonly Outcome[]): RuleOutcome[] {
  return [...new Set(outcomes.map(({ rule }) => rule))].map((rule) => {
    const cases = outcomes.filter((outcome) => outcome.rule === rule);
    return { rule, verdict: together(cases.map(({ verdict }) => verdict)), cases };
  });
}

function together(verdicts: readonly Verdict[]): RuleOutcome["verdict"] {
  if (verdicts.includes("fail")) return "fail";
  if (verdicts.includes("unsupported")) return verdicts.includes("pass") ? "part" : "unsupported";
  return verdicts.includes("pass") ? "pass" : "unasked";
}
