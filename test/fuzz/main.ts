/**
 * Fuzzes what senders can reach, guided by the blocks of source that an input runs:
 *
 *     npm run fuzz -- --target http1|http2|protobuf|json|grpc|inflate [--seconds 60] [--seed N]
 *
 * Inputs that run something new are kept in `corpus/`, what breaks a rule in `findings/`; both are
 * replayed by the tests. Exit code 1 where something was found.
 */
import { parseArgs } from "node:util";
import { Fuzzer } from "./fuzzer.ts";
import { targets } from "./targets.ts";

const { values } = parseArgs({
  options: {
    target: { type: "string" },
    help: { type: "boolean", default: false },
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});

const names = targets.map(({ name }) => name).join("|");
const usage = `usage: npm run fuzz -- [--target ${names}] [--seconds 60] [--seed N]; all targets by default`;
const chosen = values.help
  ? []
  : targets.filter(({ name }) => values.target === undefined || name === values.target);
if (chosen.length === 0) {
  console.error(usage);
  process.exitCode = values.help ? 0 : 2;
}

for (const target of chosen) {
  const fuzzer = new Fuzzer(target, Number(values.seed));
  const end = Date.now() + (1000 * Number(values.seconds)) / chosen.length;
  while (Date.now() < end && fuzzer.findings === 0) await fuzzer.step();
  await fuzzer.close();
  console.log(
    `${target.name}: seed ${values.seed}, ${fuzzer.runs} runs, ${fuzzer.kept} inputs kept, ` +
      `${fuzzer.findings} findings, at most ${fuzzer.stepsPerByteMax} blocks a byte`,
  );
  if (fuzzer.findings > 0) process.exitCode = 1;
}
