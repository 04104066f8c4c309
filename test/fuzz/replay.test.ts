/** What fuzzing has kept and found, and some changed inputs more, by a seed that stays. */
import { expect, test } from "vitest";
import { Dice } from "../ingest-json/random-otlp.ts";
import { inputsOf } from "./corpus.ts";
import { mutate } from "./mutate.ts";
import { targets } from "./targets.ts";

test.each(targets)("$name", async ({ name, seeds, run }) => {
  const known = [...seeds(), ...inputsOf("corpus", name), ...inputsOf("findings", name)];
  expect(known.length).toBeGreaterThan(1);
  for (const input of known) await run(input);
  const dice = new Dice(1);
  for (let count = 0; count < 500; count++) {
    await run(mutate(dice.pick(known), dice, dice.pick(known)));
  }
});
