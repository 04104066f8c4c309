/** What fuzzing has kept and found, and some changed inputs more, by a seed that stays. */
import { expect, onTestFinished, test } from "vitest";
import { noRedaction, policy } from "../audit/setup.ts";
import { Dice } from "../ingest-json/random-otlp.ts";
import { TOP } from "../ingest-json/otlp-proto.ts";
import { encodeOtlp } from "../support/otlp-writer.ts";
import { checkAccepted } from "./accepted.ts";
import { inPieces, Listeners } from "./connections.ts";
import { grpcConversations, httpConversations } from "./conversations.ts";
import { inputsOf } from "./corpus.ts";
import { planted, plantedIn } from "./planted.ts";
import { targets } from "./targets.ts";

/** Connections wait for answers, on a busy machine for long. */
const timeout = 300_000;

test.each(targets)("$name", { timeout }, async ({ name, seeds, run, change, close, isShared }) => {
  onTestFinished(() => close?.());
  const known = [...seeds(), ...inputsOf("corpus", name), ...inputsOf("findings", name)];
  expect(known.length).toBeGreaterThan(1);
  for (const input of known) await run(input);
  const dice = new Dice(1);
  for (let count = 0; count < (isShared === true ? 50 : 500); count++) {
    await run(change(dice.pick(known), dice, dice.pick(known)));
  }
});

/** As a defect of the redaction would be. */
const off = policy({ redaction: noRedaction });

test.each(["traces", "logs", "metrics"] as const)("a leak in %s is seen", (signal) => {
  const bytes = encodeOtlp(TOP[signal], plantedIn(signal));
  expect(() => checkAccepted(signal, bytes)).not.toThrow();
  expect(() => checkAccepted(signal, bytes, off)).toThrow(planted[0]);
});

test("a leak on a connection is seen, whichever it is", async () => {
  const listeners = await Listeners.open(off);
  onTestFinished(() => listeners.close());
  const leak = new RegExp(RegExp.escape(planted[0]!));
  for (const [transport, said] of [
    ["http", httpConversations()],
    ["grpc", grpcConversations()],
  ] as const) {
    await expect(listeners.meet(transport, inPieces(said[0]!))).rejects.toThrow(leak);
    // And the next one is judged for itself.
    await listeners.meet(transport, inPieces(said.at(-1)!));
  }
});
