/**
 * Asks any OTLP receiver whether it keeps the rules of OTLP:
 *
 *     npm run conformance -- --http http://127.0.0.1:4318 --grpc 127.0.0.1:4317 [--sink PORT] [--json]
 *
 * With `--sink` it listens there for what the receiver passes on over OTLP/HTTP, and judges that,
 * too. Exit code 0: no rule is broken; 1: one is; 2: bad usage.
 */
import { parseArgs } from "node:util";
import { startOtherEnd } from "./passed-on.ts";
import { askAll, byRule, type RuleOutcome } from "./run.ts";

const usage =
  "usage: npm run conformance -- --http URL --grpc HOST:PORT [--sink PORT] [--json]; one address at least";

const words: Readonly<Record<RuleOutcome["verdict"], string>> = {
  pass: "pass",
  part: "pass in part",
  fail: "FAIL",
  unsupported: "not supported",
  unasked: "not asked",
};

async function main(): Promise<number> {
  const options = optionsOf();
  if (options === undefined) {
    console.error(usage);
    return 2;
  }
  const { http, grpc, sink, json } = options;
  const end = sink === undefined ? undefined : await startOtherEnd(Number(sink));
  const receiver = {
    ...(http === undefined ? {} : { http }),
    ...(grpc === undefined ? {} : { grpc }),
    ...(end === undefined ? {} : { passedOn: end.find }),
  };
  const outcomes = byRule(await askAll(receiver));
  await end?.close();
  if (json) console.log(JSON.stringify(outcomes.map(asJson), null, 2));
  else for (const outcome of outcomes) print(outcome);
  return outcomes.some(({ verdict }) => verdict === "fail") ? 1 : 0;
}

interface Options {
  readonly http?: string;
  readonly grpc?: string;
  readonly sink?: string;
  readonly json: boolean;
}

function optionsOf(): Options | undefined {
  try {
    const { values } = parseArgs({
      options: {
        http: { type: "string" },
        grpc: { type: "string" },
        sink: { type: "string" },
        json: { type: "boolean", default: false },
      },
    });
    return values.http === undefined && values.grpc === undefined ? undefined : values;
  } catch {
    return undefined;
  }
}

function print({ rule, verdict, cases }: RuleOutcome): void {
  console.log(`${rule.id.padEnd(4)} ${words[verdict].padEnd(14)} ${rule.level}: ${rule.says}`);
  for (const { case: asked, verdict: one, detail } of cases) {
    if (one !== "pass") console.log(`       ${words[one]}: ${asked.name}: ${detail}`);
  }
}

function asJson({ rule, verdict, cases }: RuleOutcome): object {
  const { id, level, says } = rule;
  const asked = cases.map((one) => ({
    name: one.case.name,
    verdict: words[one.verdict].toLowerCase(),
    ...(one.detail === "" ? {} : { detail: one.detail }),
  }));
  return { id, level, says, verdict: words[verdict].toLowerCase(), cases: asked };
}

process.exitCode = await main();
