/** One who stole the chain keys of a ledger and nothing else: records with good MACs, no good root. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ChainName } from "../../src/audit/prepared-batch.ts";
import {
  bodyDigest,
  deriveChainKey,
  encodeHead,
  encodeLine,
  epochOf,
  genesisMac,
  recordMac,
  systemChain,
} from "../../src/ledger/chain.ts";
import { encodeControl } from "../../src/ledger/control.ts";
import type { ControlKind, ControlMembers } from "../../src/ledger/control.ts";
import { descriptorDigest } from "../../src/ledger/descriptor.ts";
import type { KeyRing } from "../../src/ledger/keys.ts";
import { parseLine } from "../../src/ledger/line.ts";
import type { ParsedLine } from "../../src/ledger/line.ts";
import { TipsTree } from "../../src/ledger/tips-tree.ts";
import { tipTag } from "../../src/ledger/tips.ts";
import { overwrite } from "./evidence.ts";

/** Of a ledger with one segment. */
export class Forger {
  readonly #path: string;
  readonly #keys: KeyRing;
  readonly #digest: Uint8Array;
  #lines: string[];

  constructor(ledger: string, keys: KeyRing) {
    const [segment, ...more] = readdirSync(join(ledger, "segments"));
    if (segment === undefined || more.length > 0) throw new Error("expected one segment");
    this.#path = join(ledger, "segments", segment);
    this.#keys = keys;
    this.#digest = descriptorDigest(readFileSync(join(ledger, "ledger.json")));
    this.#lines = readFileSync(this.#path, "utf8").split("\n").slice(0, -1);
  }

  get records(): ParsedLine[] {
    return this.#lines.map((line) => parseLine(Buffer.from(line)));
  }

  /** Removes what follows the first `size` records. */
  cutTo(size: number): this {
    this.#lines = this.#lines.slice(0, size);
    return this;
  }

  control<K extends ControlKind>(kind: K, members: ControlMembers[K]): this {
    return this.append(systemChain, kind, encodeControl(kind, members, Buffer.alloc(16, 9)));
  }

  /** A record with a good MAC at the end, alone in its group. */
  append(chain: ChainName, kind: string, body: Uint8Array): this {
    const { records } = this;
    const own = records.filter(({ head }) => isOf(head, chain));
    const { key, time, writer } = records.at(-1)!.head;
    const headText = encodeHead({
      bodyDigest: bodyDigest(body),
      group: records.length,
      id: Buffer.alloc(16, records.length),
      index: records.length,
      key,
      kind,
      ...chain,
      previousMac: own.at(-1)?.mac ?? genesisMac(this.#digest, chain),
      sequence: own.length + 1,
      time,
      writer,
    });
    const mac = recordMac(this.#keyOf(chain, key), headText);
    this.#lines.push(
      Buffer.from(encodeLine(headText, mac, body))
        .toString()
        .slice(0, -1),
    );
    return this;
  }

  /** A seal that counts right and has the right tips root. */
  seal(): this {
    const { records } = this;
    const seals = records.filter(({ head }) => head.kind === "seal");
    const since = records.slice((seals.at(-1)?.head.index ?? -1) + 1);
    const tips = new TipsTree();
    const chains = new Map(records.map(({ head }) => [`${head.namespace} ${head.tenant}`, head]));
    for (const chain of chains.values()) {
      const own = records.filter(({ head }) => isOf(head, chain));
      const tag = tipTag(this.#keyOf(chain, own[0]!.head.key), genesisMac(this.#digest, chain));
      tips.update(tips.leafOf(tag), own.length, own.at(-1)!.mac);
    }
    return this.control("seal", {
      action_count: since.filter(({ head }) => head.kind === "action").length,
      chain_count: chains.size,
      drop_count: 0,
      gap_count: 0,
      number: seals.length + 1,
      record_count: since.length,
      state_digest: null,
      state_size: null,
      tips_root: Buffer.from(tips.root()).toString("hex"),
    });
  }

  #keyOf({ namespace, tenant }: ChainName, key: string): Uint8Array {
    const epochKey = this.#keys.chainKey(epochOf(key))!;
    return deriveChainKey(epochKey, this.#digest, { namespace, tenant });
  }

  save(): void {
    overwrite(this.#path, Buffer.from(this.#lines.map((line) => `${line}\n`).join("")));
  }
}

function isOf(head: ChainName, chain: ChainName): boolean {
  return head.namespace === chain.namespace && head.tenant === chain.tenant;
}
