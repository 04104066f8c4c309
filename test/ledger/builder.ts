/**
 * A small ledger in memory, written with the format's own functions and fixed keys, to be damaged
 * on purpose. Independent of the sequencer: it states what the verifier is to accept.
 */
import type { ChainName } from "../../src/audit/prepared-batch.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import {
  bodyDigest,
  deriveChainKey,
  encodeHead,
  encodeLine,
  genesisMac,
  keyName,
  recordMac,
  systemChain,
  treeEntry,
} from "../../src/ledger/chain.ts";
import { signCheckpoint } from "../../src/ledger/checkpoint.ts";
import { encodeControl, type ControlKind, type ControlMembers } from "../../src/ledger/control.ts";
import { descriptorDigest, encodeDescriptor, fullOrigin } from "../../src/ledger/descriptor.ts";
import { ed25519Signer, encodeVkey, type NoteSigner } from "../../src/ledger/note.ts";
import { chainRotationProof, rotationMessage } from "../../src/ledger/rotation.ts";
import { segmentName } from "../../src/ledger/segment-name.ts";
import { TipsTree } from "../../src/ledger/tips-tree.ts";
import { tipTag } from "../../src/ledger/tips.ts";
import { TreeEdge } from "../../src/ledger/tree.ts";
import type { LedgerSource } from "../../src/ledger/verify/source.ts";

export const patients: ChainName = { namespace: "clinic", tenant: "north" };
export const billing: ChainName = { namespace: "clinic", tenant: "south" };

export interface BuilderOptions {
  /** Fills keys, instance and nonces, so that two builders differ. */
  readonly seed?: number;
}

export interface StoredFiles {
  checkpoint: Uint8Array | undefined;
  readonly tiles: Map<string, Uint8Array>;
  readonly kept: Map<number, Uint8Array>;
}

interface Tip {
  sequence: number;
  mac: Uint8Array;
  readonly tag: Uint8Array;
}

/** The seed of a builder's first log key. */
export function logSeed(seed: number): Uint8Array {
  return new Uint8Array(32).fill(0x30 + seed);
}

const noneSinceSeal = (): Record<"records" | "actions" | "gaps" | "drops", number> => ({
  records: 0,
  actions: 0,
  gaps: 0,
  drops: 0,
});

export class LedgerBuilder {
  readonly instance: Uint8Array;
  readonly descriptor: Uint8Array;
  readonly digest: Uint8Array;
  readonly origin: string;
  readonly epochKeys: Uint8Array[];
  readonly signers: NoteSigner[];
  /** Segments as lists of lines without line feed. */
  segments: { first: number; lines: string[] }[] = [{ first: 0, lines: [] }];
  readonly local: StoredFiles = { checkpoint: undefined, tiles: new Map(), kept: new Map() };
  readonly bucket: StoredFiles = { checkpoint: undefined, tiles: new Map(), kept: new Map() };
  /** Text after the last line feed. */
  tail = "";
  readonly edge = new TreeEdge();
  readonly heads: string[] = [];
  readonly macs: Uint8Array[] = [];
  readonly #tips = new Map<string, Tip>();
  readonly #seed: number;
  #boot = 0;
  #seals = 0;
  #sinceSeal = noneSinceSeal();
  #clean = true;
  #group = 0;

  constructor(options: BuilderOptions = {}) {
    const seed = options.seed ?? 1;
    this.#seed = seed;
    this.epochKeys = [new Uint8Array(32).fill(0x10 + seed)];
    this.instance = new Uint8Array(16).fill(0x20 + seed);
    const seedKey = logSeed(seed);
    const firstLogKey = ed25519Signer("any", seedKey).publicKey;
    this.descriptor = encodeDescriptor({
      created: "1767225600000000000",
      firstLogKey,
      instance: this.instance,
      origin: "spanseal.local",
      predecessor: null,
    });
    this.digest = descriptorDigest(this.descriptor);
    this.origin = fullOrigin({ origin: "spanseal.local", instance: this.instance });
    this.signers = [ed25519Signer(this.origin, seedKey)];
  }

  get size(): number {
    return this.macs.length;
  }

  get vkey(): string {
    return encodeVkey(this.origin, this.signers.at(-1)!.publicKey);
  }

  chainKey = (epoch: number): Uint8Array | undefined => this.epochKeys[epoch - 1];

  /** Begins a new group with the next record. */
  group(): this {
    this.#group = this.size;
    return this;
  }

  action(chain: ChainName, text: string = "look up"): this {
    const nonce = toHex(this.#bytes(16, this.size));
    const body = `{"action":{"name":"${text}"},"nonce":"${nonce}","schema":"spanseal.record/v1"}`;
    this.#sinceSeal.actions++;
    return this.append(chain, "action", Buffer.from(body));
  }

  control<K extends ControlKind>(kind: K, members: ControlMembers[K], chain = systemChain): this {
    return this.append(chain, kind, encodeControl(kind, members, this.#bytes(16, this.size)));
  }

  gap(itemCount: number, chain = systemChain): this {
    this.#sinceSeal.gaps++;
    this.#sinceSeal.drops += itemCount;
    const times = { from_time: this.#time(), to_time: this.#time() };
    return this.control("gap", { ...times, item_count: itemCount, reason: "disk full" }, chain);
  }

  opened(overrides: Partial<ControlMembers["opened"]> = {}): this {
    this.group();
    this.#boot++;
    return this.control("opened", {
      boot: this.#boot,
      clean: this.#clean,
      mode: "soc2",
      previous_size: this.size,
      previous_tip: this.size === 0 ? null : toHex(this.macs.at(-1)!),
      publish_targets: ["directory"],
      seal_interval_ms: 600_000,
      software_version: "0.1.0",
      ...overrides,
    });
  }

  closed(): this {
    this.group().control("closed", { boot: this.#boot, reason: "asked to stop" });
    this.#clean = true;
    return this.seal();
  }

  crashed(): this {
    this.#clean = false;
    return this;
  }

  recovered(overrides: Partial<ControlMembers["recovered"]> = {}): this {
    return this.control("recovered", {
      boot: this.#boot,
      discarded_bytes: 0,
      discarded_digest: null,
      known_committed: this.size - 1,
      reason: "unclean end",
      recovery_point: this.size - 1,
      time: this.#time(),
      unproven_end: null,
      unproven_first: this.size - 1,
      ...overrides,
    });
  }

  seal(overrides: Partial<ControlMembers["seal"]> = {}): this {
    this.group();
    const { records, actions, gaps, drops } = this.#sinceSeal;
    const number = ++this.#seals;
    const tips = this.tips();
    this.control("seal", {
      action_count: actions,
      chain_count: tips.size,
      drop_count: drops,
      gap_count: gaps,
      number,
      record_count: records,
      state_digest: null,
      state_size: null,
      tips_root: toHex(tips.root()),
      ...overrides,
    });
    this.#sinceSeal = noneSinceSeal();
    return this;
  }

  tips(): TipsTree {
    const tree = new TipsTree();
    for (const { tag, sequence, mac } of this.#tips.values()) {
      tree.update(tree.leafOf(tag), sequence, mac);
    }
    return tree;
  }

  /** Seals, then stores tiles and checkpoint locally and, unless told otherwise, in the bucket. */
  checkpoint(options: { bucket?: boolean; signers?: readonly NoteSigner[] } = {}): this {
    this.seal();
    return this.store(options);
  }

  store(options: { bucket?: boolean; signers?: readonly NoteSigner[] } = {}): this {
    const body = { origin: this.origin, size: this.size, root: this.edge.root() };
    const note = signCheckpoint(body, options.signers ?? this.signers);
    const full = this.edge.takeFinished();
    for (const stored of options.bucket === false ? [this.local] : [this.local, this.bucket]) {
      for (const { path, bytes } of [...full, ...this.edge.partialTiles()]) {
        stored.tiles.set(path, bytes);
      }
      stored.checkpoint = note;
      stored.kept.set(this.size, note);
    }
    return this;
  }

  rotateChainKey(): this {
    const from = this.#keyName();
    const next = new Uint8Array(32).fill(0x50 + this.epochKeys.length);
    const to = keyName(this.epochKeys.length + 1, next);
    const proof = chainRotationProof(next, { descriptorDigest: this.digest, from, to });
    this.group().control("key_rotated", { from, proof, purpose: "chain", to });
    this.epochKeys.push(next);
    return this.group();
  }

  rotateLogKey(): this {
    const from = this.vkey;
    const signer = ed25519Signer(this.origin, new Uint8Array(32).fill(0x60 + this.signers.length));
    const to = encodeVkey(this.origin, signer.publicKey);
    const message = rotationMessage({ descriptorDigest: this.digest, from, to });
    const proof = toHex(signer.sign(message));
    this.group().control("key_rotated", { from, proof, purpose: "log", to });
    this.signers.push(signer);
    return this.group();
  }

  rotateSegment(): this {
    this.segments.push({ first: this.size, lines: [] });
    return this;
  }

  append(chain: ChainName, kind: string, body: Uint8Array): this {
    const epoch = this.epochKeys.length;
    const key = deriveChainKey(this.epochKeys.at(-1)!, this.digest, chain);
    const tip = this.#tipOf(chain);
    const headText = encodeHead({
      bodyDigest: bodyDigest(body),
      group: this.#group,
      id: this.#bytes(16, this.size + 1000),
      index: this.size,
      key: keyName(epoch, this.epochKeys.at(-1)!),
      kind,
      ...chain,
      previousMac: tip.mac,
      sequence: tip.sequence + 1,
      time: this.#time(),
      writer: this.instance,
    });
    const mac = recordMac(key, headText);
    const line = encodeLine(headText, mac, body);
    this.segments.at(-1)!.lines.push(Buffer.from(line).toString().slice(0, -1));
    const entry = treeEntry(Buffer.from(headText), mac);
    this.edge.append(entry, 1);
    this.heads.push(headText);
    this.macs.push(mac);
    tip.sequence++;
    tip.mac = mac;
    if (kind !== "seal") this.#sinceSeal.records++;
    return this;
  }

  #tipOf(chain: ChainName): Tip {
    const name = `${chain.namespace} ${chain.tenant}`;
    let tip = this.#tips.get(name);
    if (tip === undefined) {
      // A chain's tag is by the key of the epoch in which it began.
      const key = deriveChainKey(this.epochKeys.at(-1)!, this.digest, chain);
      const genesis = genesisMac(this.digest, chain);
      tip = { sequence: 0, mac: genesis, tag: tipTag(key, genesis) };
      this.#tips.set(name, tip);
    }
    return tip;
  }

  #keyName(): string {
    return keyName(this.epochKeys.length, this.epochKeys.at(-1)!);
  }

  #bytes(count: number, salt: number): Uint8Array {
    const text = String(this.#seed * 1_000_000 + salt).padStart(2 * count, "0");
    return fromHex(text, count);
  }

  #time(): string {
    return String(1_767_225_600_000_000_000n + BigInt(this.size) * 1_000_000n);
  }

  /** Lines of all segments, for damage that does not care about segments. */
  get lines(): string[] {
    return this.segments.flatMap(({ lines }) => lines);
  }

  set lines(lines: string[]) {
    this.segments = [{ first: 0, lines }];
  }

  source(options: { bucket?: boolean; chunkBytes?: number } = {}): LedgerSource {
    const chunkBytes = options.chunkBytes ?? 1000;
    const texts = this.segments.map(({ first, lines }, at) => {
      const isLast = at === this.segments.length - 1;
      const text = lines.map((line) => `${line}\n`).join("") + (isLast ? this.tail : "");
      return { first, bytes: Buffer.from(text) };
    });
    return {
      descriptor: async () => this.descriptor,
      checkpoint: async () => this.local.checkpoint,
      tile: async (path) => this.local.tiles.get(path),
      segments: async () =>
        texts.map(({ first, bytes }) => ({
          name: segmentName(first),
          firstIndex: first,
          async *chunks() {
            for (let at = 0; at < bytes.length; at += chunkBytes) {
              yield Uint8Array.from(bytes.subarray(at, at + chunkBytes));
            }
          },
        })),
      ...(options.bucket === true
        ? {
            bucket: {
              checkpoint: async () => this.bucket.checkpoint,
              tile: async (path: string) => this.bucket.tiles.get(path),
              checkpointSizes: async () =>
                [...this.bucket.kept.keys()].toSorted((left, right) => left - right),
              checkpointOfSize: async (size: number) => this.bucket.kept.get(size),
            },
          }
        : {}),
    };
  }
}

/** Two boots, two tenants, two segments, checkpoints and a tail after the last one: 24 records. */
export function exampleLedger(options: BuilderOptions = {}): LedgerBuilder {
  const ledger = new LedgerBuilder(options).opened();
  ledger.group().action(patients).action(billing).action(patients);
  ledger.group().action(patients).action(billing);
  ledger.checkpoint();
  ledger.group().action(billing).action(patients).action(patients);
  ledger.closed().store();
  ledger.rotateSegment().opened();
  ledger.group().action(patients).action(patients).action(billing);
  ledger.checkpoint();
  ledger.group().action(billing).action(patients).action(billing).action(patients);
  return ledger.group().action(patients);
}
