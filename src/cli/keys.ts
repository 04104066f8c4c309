/** `spanseal keys init|status|public|rotate` */
import { resolve } from "node:path";
import { Argument } from "commander";
import type { Command } from "commander";
import type { JsonValue } from "../bytes/canonical-json.ts";
import { keyName } from "../ledger/chain.ts";
import { publicVkeys } from "../ledger/keys.ts";
import type { KeyRing } from "../ledger/keys.ts";
import { openKeysOf } from "../service/keys.ts";
import { locate, locateLedger, readDescriptor, withLocation } from "./locate.ts";
import type { LocationOptions } from "./locate.ts";
import { print, printFields, printJson, say, textOf } from "./output.ts";

export function register(program: Command): void {
  const keys = program
    .command("keys")
    .description("create, inspect and rotate the keys that seal the log")
    .addHelpText(
      "after",
      `
Examples:
  spanseal keys init --keys /etc/spanseal/keys     before the first start; serve does it too
  spanseal keys public                             the verifier key to give to an auditor
  spanseal keys rotate log                         a new key for signed roots, also while serving
  spanseal keys rotate chain                       a new key for record MACs, also while serving
`,
    );
  withLocation(keys.command("init"))
    .description("create the keys; leaves those that are there alone")
    .action(init);
  withLocation(keys.command("status"))
    .description("say which keys there are; prints no secret")
    .action(status);
  withLocation(keys.command("public"))
    .description("print the verifier keys (C2SP vkey) of the log, one a line, newest last")
    .action(publicKeys);
  withLocation(keys.command("rotate"))
    .description("go on with a new key, through the running sidecar if there is one")
    .addArgument(new Argument("<which>", "which key").choices(["chain", "log"]))
    .action(rotate);
}

async function init(options: LocationOptions): Promise<void> {
  const { config } = locate(options);
  const { directory } = config.keys;
  const ring = await openKeysOf(config, { create: true });
  if (options.json === true) {
    printJson({ directory: resolve(directory), created: ring.created });
  } else if (ring.created) {
    say(`created the keys in ${resolve(directory)}: back them up now, apart from the ledger\n`);
  } else {
    say(`the keys in ${resolve(directory)} are there already: nothing was changed\n`);
  }
}

async function status(options: LocationOptions): Promise<void> {
  const ring = await openRing(options);
  const chain = chainKeyName(ring, ring.chainEpoch);
  const { pepper, logKeys } = ring;
  if (options.json === true) {
    printJson({
      directory: resolve(ring.directory),
      chain: { epoch: ring.chainEpoch, key: chain },
      log: { number: logKeys.length },
      pepper: { id: pepper.id },
    });
    return;
  }
  printFields([
    ["folder", resolve(ring.directory)],
    ["chain key", `${chain} (epoch:check value), ${ring.chainEpoch} in all`],
    ["log key", `number ${logKeys.length}, see spanseal keys public`],
    ["pepper", pepper.id],
  ]);
}

async function publicKeys(options: LocationOptions): Promise<void> {
  const { origin } = await readDescriptor(await locateLedger(options));
  const vkeys = publicVkeys(origin, await openRing(options));
  if (options.json === true) printJson({ origin, keys: vkeys });
  else print(vkeys.map((vkey) => `${vkey}\n`).join(""));
}

async function rotate(which: "chain" | "log", options: LocationOptions): Promise<void> {
  await locateLedger(options);
  const { operate } = await import("../service/operate.ts");
  const result = await operate(locate(options), "rotate", { which });
  if (options.json === true) printJson(result);
  else sayRotated(which, result);
}

function sayRotated(which: string, result: JsonValue): void {
  say(`the ${which} key was rotated in record ${textOf(result, "index") ?? "?"}\n`);
  printFields([
    ["from", textOf(result, "from")],
    ["to", textOf(result, "to")],
  ]);
  const remedy = which === "log" ? "give the new public key to the auditor and back" : "back";
  say(`${remedy} the keys up again\n`);
}

function openRing(options: LocationOptions): Promise<KeyRing> {
  return openKeysOf(locate(options).config, { create: false });
}

function chainKeyName(ring: KeyRing, epoch: number): string {
  const key = ring.chainKey(epoch);
  return key === undefined ? "missing" : keyName(epoch, key);
}
