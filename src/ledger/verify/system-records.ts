/**
 * What the log says about itself, held against what it is: boots follow each other, an orderly end
 * is one, seals are numbered and count right, keys change by announcement.
 */
import { fromHex } from "../../bytes/hex.ts";
import { failuresListedMax, keyEpochsMax } from "../../limits.ts";
import { epochOf, systemChain } from "../chain.ts";
import { digestBytes } from "../digest.ts";
import {
  isControlKind,
  parseControl,
  type Gap,
  type KeyRotated,
  type Opened,
  type Recovered,
  type Seal,
} from "../control.ts";
import { FormatError } from "../format-error.ts";
import type { ScannedLine } from "../line.ts";
import { encodeVkey, parseVkey, type NoteVerifier, verifyEd25519 } from "../note.ts";
import { rotationMac, rotationMessage } from "../rotation.ts";
import type { VerifiedChains } from "./chains.ts";
import type { ChainKeySource } from "./keys.ts";
import type { LineView } from "./ordering.ts";
import type { Counts, Problem, Recovery } from "./report.ts";

export interface SystemOptions {
  readonly descriptorDigest: Uint8Array;
  /** The log key that the descriptor names. */
  readonly logKey: NoteVerifier;
  readonly keys: ChainKeySource | undefined;
  readonly counts: Counts;
  readonly chains: VerifiedChains;
}

/** A log key that the log itself names as the next one. */
export interface LogKeyRotation {
  readonly index: number;
  readonly to: NoteVerifier;
}

/** Kinds that the sidecar writes about itself, never into a tenant's chain. */
const SYSTEM_KINDS = new Set(["opened", "closed", "recovered", "seal", "key_rotated"]);

export class SystemRecords {
  readonly #options: SystemOptions;
  readonly logKeyRotations: LogKeyRotation[] = [];
  readonly recoveries: Recovery[] = [];
  /** Index of the newest seal, -1 before the first. */
  newestSeal = -1;
  /** Seals whose tips root could not be checked. */
  uncheckedTips = 0;
  #boot = 0;
  /** `closed` at this index, and whether its seal followed. */
  #end: "running" | "closed" | "sealed" = "running";
  #sealNumber = 0;
  #actionsAtSeal = 0;
  /** Since the newest seal: `gap` records, and the items that they tell of. */
  #gaps = 0;
  #drops = 0;
  /** MAC of the record before as it stands in its line, where that record is sound. */
  readonly #previousMac = Buffer.alloc(2 * digestBytes);
  #isPreviousSound = false;
  #rotation: string | undefined;
  /** An unclean start has not been followed by its `recovered` yet. */
  #recoveryDue = false;
  /** After damage the next statement of each sort is taken as it is. */
  #lostBoot = false;
  #lostSeal = false;
  #lostTips = false;

  constructor(options: SystemOptions) {
    this.#options = options;
  }

  /** Records are missing or cannot be believed: statements about them prove nothing. */
  disturb(): void {
    this.#lostBoot = true;
    this.#lostSeal = true;
    this.#lostTips = true;
    this.#isPreviousSound = false;
  }

  /** The key name that records are under from the next one on, once. */
  takeRotation(): string | undefined {
    const rotation = this.#rotation;
    this.#rotation = undefined;
    return rotation;
  }

  /** `isSound`: false where the record itself is damaged, so that what it says is not judged. */
  verify(view: LineView, isSound: boolean): Problem | undefined {
    const { scanned } = view;
    const isUsual = scanned.isAction && this.#end === "running" && scanned.index > 0;
    const problem = isSound && !isUsual ? this.#verifySound(view) : undefined;
    if (!isSound && (SYSTEM_KINDS.has(scanned.kind) || scanned.kind === "gap")) this.disturb();
    this.#isPreviousSound = isSound;
    const { bytes, macAt } = scanned;
    if (isSound) bytes.copy(this.#previousMac, 0, macAt, macAt + this.#previousMac.length);
    return problem;
  }

  #verifySound(view: LineView): Problem | undefined {
    const { kind, namespace, tenant, index } = view.scanned;
    const isSystem = namespace === systemChain.namespace && tenant === systemChain.tenant;
    const late = this.#verifyAfterEnd(kind, index);
    if (SYSTEM_KINDS.has(kind) && !isSystem) {
      return { class: "altered", detail: `a ${kind} record in a tenant's chain` };
    }
    try {
      return late ?? this.#verifyStatement(view);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.#lostSeal ||= kind === "gap";
      return { class: "malformed", detail: error.message };
    }
  }

  /** After `closed` comes its seal, and after that only the next boot. */
  #verifyAfterEnd(kind: string, index: number): Problem | undefined {
    if (index === 0 && kind !== "opened") {
      return { class: "altered", detail: "the first record of a log is opened" };
    }
    const end = this.#end;
    if (kind === "opened" || end === "running" || (end === "closed" && kind === "seal")) {
      return undefined;
    }
    this.#end = "running";
    return { class: "spliced", detail: "a record after the orderly end of its boot" };
  }

  #verifyStatement(view: LineView): Problem | undefined {
    const { bytes, scanned } = view;
    const { kind, index } = scanned;
    if (!isControlKind(kind)) return undefined;
    if (scanned.bodyStart < 0) {
      return { class: "malformed", detail: `the body of a ${kind} record is missing` };
    }
    const body = bytes.subarray(scanned.bodyStart, scanned.bodyEnd);
    switch (kind) {
      case "opened":
        return this.#verifyOpened(parseControl("opened", body), index);
      case "closed":
        return this.#verifyClosed(parseControl("closed", body).boot);
      case "recovered":
        return this.#verifyRecovered(parseControl("recovered", body), index);
      case "seal":
        return this.#verifySeal(parseControl("seal", body), index);
      case "gap":
        return this.#countGap(parseControl("gap", body));
      case "key_rotated":
        return this.#verifyRotation(parseControl("key_rotated", body), scanned);
      default:
        // It says nothing of the log that could be held against it, but must be what it is called.
        parseControl(kind, body);
        return undefined;
    }
  }

  #verifyOpened(opened: Opened, index: number): Problem | undefined {
    const wasClosed = index === 0 || this.#end === "sealed";
    const expectedBoot = this.#boot + 1;
    const lost = this.#lostBoot;
    this.#options.counts.boots++;
    this.#boot = opened.boot;
    this.#end = "running";
    this.#lostBoot = false;
    this.#recoveryDue = !opened.clean;
    if (opened.previous_size !== index) {
      const what = opened.previous_size > index ? "truncated" : "spliced";
      const detail = `boot ${opened.boot} found ${opened.previous_size} records, here are ${index}`;
      return { class: what, detail };
    }
    const tip = index === 0 ? null : this.#previousMac.toString("latin1");
    if ((this.#isPreviousSound || index === 0) && opened.previous_tip !== tip) {
      const detail = `boot ${opened.boot} found another record before it than stands here`;
      return { class: "spliced", detail };
    }
    if (lost) return undefined;
    if (opened.boot !== expectedBoot) {
      const what = opened.boot > expectedBoot ? "gap" : "rolled_back";
      return { class: what, detail: `expected boot ${expectedBoot}, received ${opened.boot}` };
    }
    if (!opened.clean || wasClosed) return undefined;
    const detail = `boot ${opened.boot} found an orderly end, but closed and its seal are not here`;
    return { class: "truncated", detail };
  }

  #verifyClosed(boot: number): Problem | undefined {
    this.#end = "closed";
    if (boot === this.#boot || this.#lostBoot) return undefined;
    return { class: "spliced", detail: `the end of boot ${boot} stands in boot ${this.#boot}` };
  }

  #verifyRecovered(recovered: Recovered, index: number): Problem | undefined {
    this.#recoveryDue = false;
    if (this.recoveries.length < failuresListedMax) {
      this.recoveries.push({
        index,
        reason: recovered.reason,
        discardedBytes: recovered.discarded_bytes,
        unprovenFirst: recovered.unproven_first,
        unprovenEnd: recovered.unproven_end,
      });
    }
    if (recovered.recovery_point > index) {
      const detail = `recovered to ${recovered.recovery_point} records, here are ${index}`;
      return { class: "truncated", detail };
    }
    if (recovered.known_committed <= recovered.recovery_point) return undefined;
    const detail =
      `${recovered.known_committed} records were durable, ` +
      `the recovery kept ${recovered.recovery_point}`;
    return { class: "truncated", detail };
  }

  #countGap(gap: Gap): undefined {
    this.#gaps++;
    this.#drops += gap.item_count;
  }

  #verifySeal(seal: Seal, index: number): Problem | undefined {
    const { counts } = this.#options;
    const records = index - this.newestSeal - 1;
    const actions = counts.actions - this.#actionsAtSeal;
    const expected = this.#sealNumber + 1;
    const lost = this.#lostSeal;
    const losses = this.#verifyLosses(seal);
    counts.seals++;
    this.newestSeal = index;
    this.#actionsAtSeal = counts.actions;
    this.#sealNumber = seal.number;
    this.#lostSeal = false;
    if (this.#end === "closed") this.#end = "sealed";
    const tips = this.#verifyTips(seal);
    if (lost) return tips;
    if (seal.number !== expected) {
      const what = seal.number > expected ? "gap" : "duplicate";
      return { class: what, detail: `expected seal ${expected}, received seal ${seal.number}` };
    }
    if (seal.record_count !== records || seal.action_count !== actions) {
      const stated = `${seal.record_count} records with ${seal.action_count} actions`;
      const detail = `seal ${seal.number} counts ${stated}, here are ${records} with ${actions}`;
      return { class: seal.record_count > records ? "gap" : "spliced", detail };
    }
    return losses ?? this.#verifyRecoveryDue() ?? tips;
  }

  /** A seal counts what the sidecar itself says was lost since the one before. */
  #verifyLosses(seal: Seal): Problem | undefined {
    const [gaps, drops] = [this.#gaps, this.#drops];
    this.#gaps = 0;
    this.#drops = 0;
    if (seal.gap_count === gaps && seal.drop_count === drops) return undefined;
    const stated = `${seal.gap_count} gaps with ${seal.drop_count} items`;
    const detail = `seal ${seal.number} counts ${stated}, here are ${gaps} with ${drops}`;
    const isLess = gaps < seal.gap_count || drops < seal.drop_count;
    return { class: isLess ? "gap" : "spliced", detail };
  }

  /** A boot after an unclean end says what it recovered before it seals anything. */
  #verifyRecoveryDue(): Problem | undefined {
    if (!this.#recoveryDue) return undefined;
    this.#recoveryDue = false;
    const detail = `boot ${this.#boot} found no orderly end and says nothing of a recovery`;
    return { class: "gap", detail };
  }

  #verifyTips(seal: Seal): Problem | undefined {
    const { chains, counts } = this.#options;
    if (this.#lostTips) {
      this.uncheckedTips++;
      return undefined;
    }
    if (seal.chain_count !== chains.count) {
      const detail = `seal ${seal.number} counts ${seal.chain_count} chains, here are ${chains.count}`;
      return { class: seal.chain_count > chains.count ? "gap" : "spliced", detail };
    }
    const root = chains.tipsRoot();
    if (root === undefined) {
      this.uncheckedTips++;
      return undefined;
    }
    counts.tips++;
    if (root === seal.tips_root) return undefined;
    const detail = `the tips root of seal ${seal.number} is not that of the chains before it`;
    return { class: "root_mismatch", detail };
  }

  #verifyRotation(rotated: KeyRotated, line: ScannedLine): Problem | undefined {
    if (rotated.purpose === "log") return this.#verifyLogRotation(rotated, line.index);
    const { descriptorDigest, keys } = this.#options;
    const claim = { descriptorDigest, from: rotated.from, to: rotated.to };
    this.#rotation = rotated.to;
    if (rotated.from !== line.key) {
      const detail = `key ${rotated.from} is replaced, but the records are under ${line.key}`;
      return { class: "wrong_key", detail };
    }
    if (epochOf(rotated.to) !== epochOf(rotated.from) + 1) {
      const detail = `key epoch ${epochOf(rotated.to)} does not follow ${epochOf(rotated.from)}`;
      return { class: "wrong_key", detail };
    }
    const key = keys?.keyOf(systemChain, epochOf(rotated.to));
    if (key === undefined || rotationMac(key, claim) === rotated.proof) return undefined;
    return { class: "wrong_key", detail: "the new chain key did not sign its announcement" };
  }

  #verifyLogRotation(rotated: KeyRotated, index: number): Problem | undefined {
    const { descriptorDigest, logKey } = this.#options;
    const claim = { descriptorDigest, from: rotated.from, to: rotated.to };
    const current = this.logKeyRotations.at(-1)?.to ?? logKey;
    const to = parseVkey(rotated.to);
    const proof = fromHex(rotated.proof);
    if (rotated.from !== encodeVkey(current.name, current.publicKey) || to.name !== current.name) {
      const detail = "the log key that is replaced is not the one that was in force";
      return { class: "wrong_key", detail };
    }
    if (proof.length !== 64 || !verifyEd25519(to.publicKey, rotationMessage(claim), proof)) {
      return { class: "wrong_key", detail: "the new log key did not sign its announcement" };
    }
    if (this.logKeyRotations.length >= keyEpochsMax) {
      return { class: "malformed", detail: `no ledger has more than ${keyEpochsMax} log keys` };
    }
    this.logKeyRotations.push({ index, to });
    return undefined;
  }
}
