/**
 * Vectors of a tree, its notes and its tiles that golang.org/x/mod, Tessera's fsck and torchwood
 * accepted: Ed25519 seed 32 × 0x07, entry i is {"seq":i}.
 */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";

import { fromBase64, toBase64 } from "../../../src/bytes/base64.ts";
import { toHex } from "../../../src/bytes/hex.ts";
import { parseCheckpoint, signCheckpoint } from "../../../src/ledger/checkpoint.ts";
import { emptyRoot, Frontier, leafHash } from "../../../src/ledger/merkle.ts";
import {
  ed25519Signer,
  encodeVkey,
  keyId,
  parseVkey,
  verifyNote,
} from "../../../src/ledger/note.ts";
import { encodeBundle, parseTilePath, tilePath, tilesOf } from "../../../src/ledger/tile.ts";
import { plainRoot } from "../log/plain-tree.ts";

const origin = "agent-audit.example/log1";
const signer = ed25519Signer(origin, new Uint8Array(32).fill(7));
const vkey = "agent-audit.example/log1+94f2af4a+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";

const roots = new Map([
  [0, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="],
  [1, "pAKw429aroVFc2D88AolRbh91H8xBVPnsNMtbQrEQA0="],
  [5, "FH3Ed0eaO2miSx/2Abb8YoT98V/VCr/rDPcOqONyLB0="],
  [256, "seEZrOo8AgMvfp4xtjKwHzWwoh0carRqr3DlKeWyNcc="],
  [257, "PGbXf4xtvtpwT4OmeDlDIwP7bgE4V0agSOWlZaBly/Y="],
  [70000, "Setbsr+kDfnOsfkN53+XtlnD6O006VHSKx5qKVKBi8w="],
]);

const signatures = new Map([
  [
    5,
    "lPKvSiFlDkMv0pZDkVbBke2mJ1awH2p99sgR27J+2W50F/KxcpDCErtHMYW2pOAhCCL/mVrS8Jy2WCk1YrH11Jn7cQw=",
  ],
  [
    257,
    "lPKvSopVacY6hfasBrJuthWQL7sETUrh+MVk4N6KtvPmGyOT597Lw4iSaoh1wYfOpNA988s2HIkG7WX0AdP1dFDNXw0=",
  ],
  [
    70000,
    "lPKvSgO85Sx8wwy8x0GCJ7cZ89wtnz9rS3t/wFcwnez4uiHkGFfDKJ1J/PUJSRMovggRDaSrs6bP0hGtOERwt9BaagE=",
  ],
]);

const tiles = new Map([
  [
    5,
    {
      "tile/0/000.p/5": "b2770cfa03789307c9b1572ef0b8049c7845dc5a10de66c1069c9f12b9f75d05",
      "tile/entries/000.p/5": "88b7d357e1142d4250f4f89adff77bca8972eb3f9057611905b2c3afe9e4e4e9",
    },
  ],
  [
    257,
    {
      "tile/0/000": "9f2deb482878bbbc97ad0b2a8d12f606081485dd61c23ec35f4fe4c9a2c1ac95",
      "tile/entries/000": "746f491c6bebe0c1f587b9744097d24f66385a865c71a692123d5f503eb66837",
      "tile/1/000.p/1": "1e5cc22dba488b4c88607eea65132206268039db465046fafde0d837ad6e3ecd",
    },
  ],
  [
    70000,
    {
      "tile/1/000": "3447d8ccea92ff9236378bf7468dec094a4a3cdb69d5e44affde149366d00a10",
      "tile/2/000.p/1": "da9967583d62b0cc6655b926235b97d3a74b2ef37691f3098872a9ac0c584768",
    },
  ],
]);

function entry(index: number): Uint8Array {
  return Buffer.from(`{"seq":${index}}`);
}

test("key, key id and verifier key", () => {
  const publicKey = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c";
  expect(toHex(signer.publicKey)).toBe(publicKey);
  expect(keyId(origin, 1, signer.publicKey)).toBe("94f2af4a");
  expect(encodeVkey(origin, signer.publicKey)).toBe(vkey);
  expect(parseVkey(vkey).keyId).toBe("94f2af4a");
});

test("roots, note signatures and tiles of every size", () => {
  const frontier = new Frontier();
  const leaves: Uint8Array[] = [];
  expect(toBase64(emptyRoot)).toBe(roots.get(0));
  for (let index = 0; index < 70_000; index++) {
    const leaf = leafHash(entry(index));
    frontier.append(leaf);
    leaves.push(leaf);
    const size = index + 1;
    const root = roots.get(size);
    if (root === undefined) continue;
    expect(toBase64(frontier.root())).toBe(root);
    checkTiles(size, leaves);
    checkNote(size, frontier.root());
  }
  expect([...tilesOf(70_000)].filter((tile) => tile.level === 0)).toHaveLength(274);
});

/** By the definitions: the edge makes tiles of 32-byte entries, these vectors have longer ones. */
function tileOf(path: string, leaves: readonly Uint8Array[]): Uint8Array {
  const { level, index, width } = parseTilePath(path);
  const slots = Array.from({ length: width }, (_, slot) => index * 256 + slot);
  if (level === "entries") return encodeBundle(slots.map(entry));
  const span = 256 ** level;
  return Buffer.concat(
    slots.map((slot) => plainRoot(leaves.slice(slot * span, (slot + 1) * span))),
  );
}

function checkTiles(size: number, leaves: readonly Uint8Array[]): void {
  const expected = tiles.get(size) ?? {};
  const paths = [...tilesOf(size)].map(tilePath);
  for (const [path, digest] of Object.entries(expected)) {
    expect(paths).toContain(path);
    const bytes = tileOf(path, leaves);
    expect([path, createHash("sha256").update(bytes).digest("hex")]).toEqual([path, digest]);
  }
}

function checkNote(size: number, root: Uint8Array): void {
  const expected = signatures.get(size);
  if (expected === undefined) return;
  const bytes = signCheckpoint({ origin, size, root }, [signer]);
  const text = `${origin}\n${size}\n${toBase64(root)}\n\n\u2014 ${origin} ${expected}\n`;
  expect(Buffer.from(bytes).toString()).toBe(text);
  const { note } = parseCheckpoint(bytes);
  expect(verifyNote(note, [parseVkey(vkey)]).good).toHaveLength(1);
  expect(fromBase64(expected).subarray(4)).toEqual(new Uint8Array(note.signatures[0]!.signature));
}
