/** Signatures and proofs that say something else than they seem to. */
import { expect, test } from "vitest";

import { toHex } from "../../../src/bytes/hex.ts";
import { parseLine } from "../../../src/ledger/chain.ts";
import { parseCheckpoint, signCheckpoint } from "../../../src/ledger/checkpoint.ts";
import { inclusionProof, leafHash } from "../../../src/ledger/merkle.ts";
import {
  ed25519Signer,
  ed25519Verifier,
  encodeNote,
  parseNote,
  parseVkey,
  verifyEd25519,
  verifyNote,
} from "../../../src/ledger/note.ts";
import { encodeProof } from "../../../src/ledger/proof.ts";
import { judgeProof, proveRecord } from "../../../src/ledger/record-proof.ts";
import { subtreeReader, tilePath } from "../../../src/ledger/tile.ts";
import { exampleLedger } from "../builder.ts";

const groupOrder = 2n ** 252n + 27742317777372353535851937790883648493n;
const signer = ed25519Signer("log.example", Buffer.alloc(32, 5));
const message = Buffer.from("a message");

function littleEndian(value: bigint): Uint8Array {
  return Buffer.from(value.toString(16).padStart(64, "0"), "hex").toReversed();
}

test("a signature has one form: its scalar plus the order of the group is refused", () => {
  const signature = Buffer.from(signer.sign(message));
  expect(verifyEd25519(signer.publicKey, message, signature)).toBe(true);
  const scalar = BigInt(`0x${toHex(signature.subarray(32).toReversed())}`);
  const other = Buffer.concat([signature.subarray(0, 32), littleEndian(scalar + groupOrder)]);
  expect(verifyEd25519(signer.publicKey, message, other)).toBe(false);
});

/** One of each order; the last is another spelling of the first. */
const smallOrder = [
  `01${"00".repeat(31)}`,
  `ec${"ff".repeat(30)}7f`,
  "00".repeat(32),
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
  `ee${"ff".repeat(30)}7f`,
];
/** Scalars 0 and 1 times the base point: with the neutral point as key both fit every message. */
const universal = [
  `01${"00".repeat(31)}${"00".repeat(32)}`,
  `58${"66".repeat(31)}01${"00".repeat(31)}`,
];

test.each(smallOrder)("under a key of small order no signature is good: %s", (key) => {
  // Of 64 messages some would fit also where the order is 8.
  for (let at = 0; at < 64; at++) {
    const judged = universal.map((signature) =>
      verifyEd25519(Buffer.from(key, "hex"), Buffer.from([at]), Buffer.from(signature, "hex")),
    );
    expect(judged).toEqual([false, false]);
  }
});

test("the right key for another log, and under another name, is not this log's", () => {
  const root = Buffer.alloc(32, 1);
  const body = { origin: "log.example", size: 3, root };
  const verifier = ed25519Verifier("log.example", signer.publicKey);
  const elsewhere = ed25519Signer("elsewhere.example", Buffer.alloc(32, 5));
  const renamed = signCheckpoint(body, [elsewhere]);
  expect(verifyNote(parseNote(renamed), [verifier])).toEqual({ good: [], bad: [] });
  const genuine = parseNote(signCheckpoint(body, [signer]));
  const moved = { ...genuine, text: genuine.text.replace("log.example", "log2.example") };
  expect(verifyNote(parseNote(encodeNote(moved)), [verifier])).toEqual({
    good: [],
    bad: [verifier],
  });
});

test("of two signatures by one key a bad one spoils the note, in either order", () => {
  const note = parseNote(
    signCheckpoint({ origin: "o", size: 1, root: Buffer.alloc(32) }, [signer]),
  );
  const [good] = note.signatures;
  const bad = { ...good!, signature: Buffer.alloc(64, 1) };
  const verifier = ed25519Verifier("log.example", signer.publicKey);
  for (const signatures of [
    [good!, bad],
    [bad, good!],
  ]) {
    const judged = verifyNote(parseNote(encodeNote({ ...note, signatures })), [verifier]);
    expect(judged.bad).toEqual([verifier]);
  }
  const twice = encodeNote({ ...note, signatures: [good!, good!] });
  expect(verifyNote(parseNote(twice), [verifier])).toEqual({ good: [verifier], bad: [] });
});

const ledger = exampleLedger();
const trusted = [parseVkey(ledger.vkey)];
const tiles = ledger.local.tiles;
const subtrees = (size: number) =>
  subtreeReader(
    size,
    async (tile) => tiles.get(tilePath(tile)) ?? tiles.get(tilePath({ ...tile, width: 17 }))!,
  );
const record = parseLine(Buffer.from(ledger.lines[3]!));

test("a proof holds for its own tree size, index and record, and an old one goes on to hold", async () => {
  const [old, now] = [ledger.local.kept.get(7)!, ledger.local.kept.get(17)!];
  for (const checkpoint of [old, now]) {
    const proof = await proveRecord(record, checkpoint, subtrees);
    expect(judgeProof(proof, () => trusted)).toMatchObject({ isIncluded: true, isTrusted: true });
  }
  const extra = Buffer.from(ledger.lines[3]!.replace(/,"body".*/, "}"));
  const path = await inclusionProof(3, 7, subtrees(7));
  const judge = (changes: object): boolean =>
    judgeProof(encodeProof({ extra, index: 3, path, checkpoint: old, ...changes }), () => trusted)
      .isIncluded;
  expect(judge({})).toBe(true);
  expect(judge({ checkpoint: now })).toBe(false);
  expect(judge({ index: 2 })).toBe(false);
  expect(judge({ path: path.slice(1) })).toBe(false);
  expect(judge({ path: [...path, path[0]!] })).toBe(false);
  expect(judge({ path: path.toReversed() })).toBe(false);
  const other = Buffer.from(ledger.lines[4]!.replace(/,"body".*/, "}"));
  expect(judge({ extra: other })).toBe(false);
  expect(judge({ extra: other, index: 4 })).toBe(false);
  const withBody = Buffer.from(ledger.lines[3]!);
  expect(() => judge({ extra: withBody })).toThrow(expect.objectContaining({ code: "bad_proof" }));
});

test("an inner node is no record, nor a leaf's hash", () => {
  const { root, size } = parseCheckpoint(ledger.local.kept.get(7)!);
  expect(size).toBe(7);
  expect(toHex(leafHash(root))).not.toBe(toHex(root));
});
