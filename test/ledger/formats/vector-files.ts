/**
 * The vectors of `proto/vectors`, made from fixed keys and nonces. Run by itself this file writes
 * them: `node test/ledger/formats/vector-files.ts`.
 */
import { mkdir, writeFile } from "node:fs/promises";

import { toBase64 } from "../../../src/bytes/base64.ts";
import { toHex } from "../../../src/bytes/hex.ts";
import {
  bodyDigest,
  deriveChainKey,
  genesisMac,
  keyName,
  parseLine,
  systemChain,
  treeEntry,
} from "../../../src/ledger/chain.ts";
import { CONTROL_KINDS, encodeControl, type ControlMembers } from "../../../src/ledger/control.ts";
import { sha256Hex } from "../../../src/bytes/sha256.ts";
import { consistencyProof, inclusionProof, leafHash } from "../../../src/ledger/merkle.ts";
import { encodeProof } from "../../../src/ledger/proof.ts";
import { segmentName } from "../../../src/ledger/segment-name.ts";
import { subtreeReader, tilePath } from "../../../src/ledger/tile.ts";
import { tipLeaf, tipTag } from "../../../src/ledger/tips.ts";
import { TreeEdge } from "../../../src/ledger/tree.ts";
import { billing, LedgerBuilder, logSeed, patients } from "../builder.ts";

const SOURCE = "spanseal FORMAT.md; regenerate with: node test/ledger/formats/vector-files.ts";

/** Eight records: a boot, three actions in two chains, a seal, a key rotation, an action, a seal. */
export function vectorLedger(): LedgerBuilder {
  const ledger = new LedgerBuilder().opened();
  ledger.group().action(patients).action(billing).action(patients, "renew").checkpoint();
  return ledger.rotateChainKey().action(billing).checkpoint();
}

function chainVectors(ledger: LedgerBuilder): unknown[] {
  const epochKey = ledger.epochKeys[0]!;
  return [systemChain, patients, billing].map((chain) => {
    const key = deriveChainKey(epochKey, ledger.digest, chain);
    const genesis = genesisMac(ledger.digest, chain);
    return {
      ...chain,
      chain_key_epoch_1: toHex(key),
      chain_key_epoch_2: toHex(deriveChainKey(ledger.epochKeys[1]!, ledger.digest, chain)),
      genesis: toHex(genesis),
      tip_tag: toHex(tipTag(key, genesis)),
    };
  });
}

function recordVectors(ledger: LedgerBuilder): unknown[] {
  const edge = new TreeEdge();
  return ledger.lines.map((line) => {
    const { head, headBytes, mac, body } = parseLine(Buffer.from(line));
    const entry = treeEntry(headBytes, mac);
    edge.append(entry, 1);
    return {
      index: head.index,
      line,
      body_digest: toHex(bodyDigest(body!)),
      mac: toHex(mac),
      entry: toHex(entry),
      leaf: toHex(leafHash(entry)),
      root_after: toBase64(edge.root()),
    };
  });
}

/** The tips as the first seal sees them: after records 0 to 3. */
function tipVectors(): unknown {
  const ledger = new LedgerBuilder().opened();
  ledger.group().action(patients).action(billing).action(patients, "renew");
  const tips: [typeof patients, number, number][] = [
    [systemChain, 1, 0],
    [patients, 2, 3],
    [billing, 1, 2],
  ];
  const leaves = tips.map(([chain, sequence, index]) => {
    const key = deriveChainKey(ledger.epochKeys[0]!, ledger.digest, chain);
    const tag = tipTag(key, genesisMac(ledger.digest, chain));
    const tip = { tag, sequence, mac: ledger.macs[index]! };
    const path = ledger.tips().path(tip.tag)!;
    return {
      ...chain,
      sequence,
      tag: toHex(tip.tag),
      mac: toHex(tip.mac),
      leaf: toHex(tipLeaf(tip)),
      path_root_to_leaf: path.map(({ bit, sibling }) => ({ bit, sibling: toHex(sibling) })),
    };
  });
  return { leaves, root: toHex(ledger.tips().root()) };
}

async function ledgerVector(): Promise<unknown> {
  const ledger = vectorLedger();
  const size = ledger.size;
  const read = subtreeReader(size, async (tile) => ledger.local.tiles.get(tilePath(tile))!);
  const path = await inclusionProof(3, size, read);
  const checkpoint = ledger.local.checkpoint!;
  const older = ledger.local.kept.get(5)!;
  return {
    source: SOURCE,
    keys: {
      chain_epoch_1: toHex(ledger.epochKeys[0]!),
      chain_epoch_2: toHex(ledger.epochKeys[1]!),
      key_name_1: keyName(1, ledger.epochKeys[0]!),
      key_name_2: keyName(2, ledger.epochKeys[1]!),
      log_seed: toHex(logSeed(1)),
      log_public: toHex(ledger.signers[0]!.publicKey),
      vkey: ledger.vkey,
    },
    descriptor: Buffer.from(ledger.descriptor).toString(),
    descriptor_digest: toHex(ledger.digest),
    origin: ledger.origin,
    chains: chainVectors(ledger),
    segment: segmentName(0),
    records: recordVectors(ledger),
    tips_of_seal_1: tipVectors(),
    checkpoints: { "5": Buffer.from(older).toString(), "8": Buffer.from(checkpoint).toString() },
    tiles: Object.fromEntries([...ledger.local.tiles].map(([name, bytes]) => [name, toHex(bytes)])),
    proof_of_record_3: Buffer.from(encodeProof({ index: 3, path, checkpoint })).toString(),
    consistency_5_to_8: (await consistencyProof(5, size, read)).map(toBase64),
  };
}

async function treeVector(): Promise<unknown> {
  const edge = new TreeEdge();
  const files = new Map<string, Uint8Array>();
  const sizes = new Set([1, 2, 3, 5, 8, 255, 256, 257, 1000]);
  const roots: Record<string, string> = {};
  for (let index = 0; index < 1000; index++) {
    const entry = Buffer.from(sha256Hex(Buffer.from(String(index))), "hex");
    edge.append(entry, 1);
    if (sizes.has(index + 1)) roots[String(index + 1)] = toBase64(edge.root());
  }
  for (const { path, bytes } of [...edge.takeFinished(), ...edge.partialTiles()]) {
    files.set(path, bytes);
  }
  const read = subtreeReader(1000, async (tile) => files.get(tilePath(tile))!);
  const inclusion: Record<string, string[]> = {};
  for (const index of [0, 255, 256, 767, 999]) {
    inclusion[String(index)] = (await inclusionProof(index, 1000, read)).map(toBase64);
  }
  const consistency: Record<string, string[]> = {};
  for (const first of [1, 255, 256, 768, 999]) {
    consistency[String(first)] = (await consistencyProof(first, 1000, read)).map(toBase64);
  }
  return {
    source: SOURCE,
    entries: "entry i is SHA-256 of the decimal digits of i, for i from 0 to 999",
    roots,
    tiles: Object.fromEntries([...files].map(([name, bytes]) => [name, sha256Hex(bytes)])),
    inclusion_in_1000: inclusion,
    consistency_to_1000: consistency,
  };
}

const hash = "ab".repeat(32);
const samples: ControlMembers = {
  opened: {
    boot: 2,
    clean: false,
    mode: "soc2",
    previous_size: 9,
    previous_tip: hash,
    publish_targets: ["directory"],
    seal_interval_ms: 600_000,
    software_version: "0.1.0",
  },
  closed: { boot: 2, reason: "SIGTERM" },
  recovered: {
    boot: 2,
    discarded_bytes: 17,
    discarded_digest: hash,
    known_committed: 8,
    reason: "torn_group",
    recovery_point: 9,
    time: "1767225600000000000",
    unproven_end: null,
    unproven_first: 9,
  },
  seal: {
    action_count: 3,
    chain_count: 2,
    drop_count: 0,
    gap_count: 0,
    number: 1,
    record_count: 4,
    state_digest: hash,
    state_size: 4,
    tips_root: hash,
  },
  link: { reason: "same call", record: "01".repeat(16), related: "02".repeat(16) },
  key_rotated: { from: "1:00112233", proof: hash, purpose: "chain", to: "2:44556677" },
  policy_changed: { after: hash, before: null, changes: ["redaction.packs: us added"] },
  redaction_off: { reason: "no pack and no rule is configured" },
  clock_stepped: { ledger_time: "1767225600000000000", wall_time: "1767225660000000000" },
  sink_rejected: {
    end: 5,
    first: 3,
    item_count: 2,
    reason: "too large",
    signal: "traces",
    sink: "otlp_http",
    status: "413",
  },
  forwarding_suspended: {
    byte_count: 4096,
    counts_complete: true,
    end: 9,
    first: 3,
    item_count: 12,
    phase: "end",
    request_count: 4,
    signal: "logs",
    since_time: "1767225600000000000",
    sink: "otlp_http",
  },
  gap: {
    from_time: "1767225600000000000",
    item_count: 12,
    reason: "disk full",
    to_time: "1767225700000000000",
  },
  storage_failed: { code: "EIO", operation: "fdatasync", reason: "i/o error" },
  chain_limit: { chain_count: 100_000, limit: 100_000, refused_count: 7 },
};

function controlVector(): unknown {
  const nonce = new Uint8Array(16).fill(0x0f);
  const bodies = CONTROL_KINDS.map((kind) => {
    const bytes = encodeControl(kind, samples[kind], nonce);
    return { kind, body: Buffer.from(bytes).toString(), body_digest: toHex(bodyDigest(bytes)) };
  });
  return { source: SOURCE, bodies };
}

export async function vectorFiles(): Promise<ReadonlyMap<string, string>> {
  const values = new Map<string, unknown>([
    ["control.json", controlVector()],
    ["ledger.json", await ledgerVector()],
    ["tree.json", await treeVector()],
  ]);
  return new Map([...values].map(([name, value]) => [name, `${JSON.stringify(value, null, 2)}\n`]));
}

export const vectorFolder: URL = new URL("../../../proto/vectors/", import.meta.url);

if (import.meta.main) {
  await mkdir(vectorFolder, { recursive: true });
  for (const [name, text] of await vectorFiles())
    await writeFile(new URL(name, vectorFolder), text);
}
