import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, readdir, readFile, rm, stat, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { nodeFiles } from "../../../src/ledger/files.ts";
import {
  addChainKey,
  addLogKey,
  checkpointSigner,
  KeyError,
  openKeys,
  publicVkeys,
} from "../../../src/ledger/keys.ts";
import { parseVkey, verifyEd25519 } from "../../../src/ledger/note.ts";

const folder = { files: nodeFiles, randomBytes: (count: number) => randomBytes(count) };
let root = "";
let directory = "";

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "spanseal-keys-"));
  directory = join(root, "keys");
});
afterEach(() => rm(root, { recursive: true }));

async function refusal(run: Promise<unknown>): Promise<KeyError> {
  const error: unknown = await run.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(KeyError);
  return error as KeyError;
}

test("first start creates the keys, closed to others, and opens the same ones again", async () => {
  const made = await openKeys(directory, folder, { create: true });
  expect(made).toMatchObject({ created: true, chainEpoch: 1, directory });
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  for (const name of await readdir(directory)) {
    expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
  }
  const again = await openKeys(directory, folder, { create: true });
  expect(again.created).toBe(false);
  expect(again.chainKey(1)).toEqual(made.chainKey(1));
  expect(again.chainKey(2)).toBeUndefined();
  expect(again.pepper).toEqual(made.pepper);
  expect(publicVkeys("a.example/b", again)).toEqual(publicVkeys("a.example/b", made));
  const signer = checkpointSigner("a.example/b", again.logKeys[0]!);
  const message = Buffer.from("text\n");
  const verifier = parseVkey(publicVkeys("a.example/b", made)[0]!);
  expect(verifyEd25519(verifier.publicKey, message, signer.sign(message))).toBe(true);
});

test("rotation adds keys and keeps the older ones", async () => {
  const first = await openKeys(directory, folder, { create: true });
  const second = await addChainKey(directory, folder);
  expect(second.chainEpoch).toBe(2);
  expect(second.chainKey(1)).toEqual(first.chainKey(1));
  expect(second.chainKey(2)).not.toEqual(first.chainKey(1));
  const third = await addLogKey(directory, folder);
  expect(third.logKeys.map(({ number }) => number)).toEqual([1, 2]);
  expect(third.logKeys[0]!.publicKey).toEqual(first.logKeys[0]!.publicKey);
});

test("keys that others can read are refused with the command that closes them", async () => {
  await openKeys(directory, folder, { create: true });
  const file = join(directory, "chain.1.key");
  await chmod(file, 0o640);
  const open = await refusal(openKeys(directory, folder, { create: true }));
  expect(open.code).toBe("mode");
  expect(open.message).toContain(`chmod 600 ${file}`);
  await chmod(file, 0o600);
  await chmod(directory, 0o755);
  const folderOpen = await refusal(openKeys(directory, folder, { create: true }));
  expect(folderOpen.message).toContain(`chmod 700 ${directory}`);
});

test("missing, incomplete and malformed keys are told apart, and no key is in a message", async () => {
  const none = await refusal(openKeys(directory, folder, { create: false }));
  expect(none.code).toBe("missing");
  await openKeys(directory, folder, { create: true });
  const file = join(directory, "log.1.key");
  const text = await readFile(file, "utf8");
  for (const changed of [text.toUpperCase().replace(/^/, "F"), text.slice(2), `${text}\n`, ""]) {
    await writeFile(file, changed);
    const malformed = await refusal(openKeys(directory, folder, { create: true }));
    expect(malformed.code).toBe("malformed");
    expect(`${malformed.message} ${String(malformed.cause)}`).not.toContain(text.slice(4, 20));
  }
  await unlink(file);
  const incomplete = await refusal(openKeys(directory, folder, { create: true }));
  expect(incomplete.code).toBe("incomplete");
  expect(await readdir(directory)).not.toContain("log.1.key");
});

test("a gap in the epochs is refused", async () => {
  await openKeys(directory, folder, { create: true });
  await addChainKey(directory, folder);
  await unlink(join(directory, "chain.1.key"));
  const gap = await refusal(openKeys(directory, folder, { create: false }));
  expect(gap).toMatchObject({ code: "incomplete" });
  expect(gap.message).toContain("chain.1.key");
});

test("a creation that broke off is finished by the next, with the keys that are there", async () => {
  const begun = await openKeys(directory, folder, { create: true });
  for (const missing of [["pepper.1.key"], ["log.1.key", "pepper.1.key"]]) {
    for (const name of missing) await unlink(join(directory, name));
    await writeFile(join(directory, ".tmp-1"), "of a write that was killed");
    const reading = await refusal(openKeys(directory, folder, { create: false }));
    expect(reading.code).toBe("incomplete");
    const finished = await openKeys(directory, folder, { create: true });
    expect(finished).toMatchObject({ created: true, chainEpoch: 1 });
    expect(finished.chainKey(1)).toEqual(begun.chainKey(1));
    expect((await readdir(directory)).toSorted()).toEqual([
      "chain.1.key",
      "log.1.key",
      "pepper.1.key",
    ]);
  }
});
