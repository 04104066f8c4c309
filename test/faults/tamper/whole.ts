/** Cells of all files together: taken back, replaced, signed anew. */
import { toHex } from "../../../src/bytes/hex.ts";
import { parseCheckpoint, signCheckpoint } from "../../../src/ledger/checkpoint.ts";
import type { FailureClass } from "../../../src/ledger/verify/report.ts";
import type { EvidenceFiles } from "../../ledger/evidence-files.ts";
import type { Cell, Operation } from "./cell.ts";
import {
  descriptorPath,
  bucketRoot,
  cell,
  editText,
  anywhere,
  type Change,
  type More,
} from "./damage.ts";
import { forger, keptSizes } from "./subject.ts";

function copyFrom(files: EvidenceFiles, source: EvidenceFiles, prefix: string): void {
  for (const path of files.keys()) if (path.startsWith(prefix)) files.delete(path);
  for (const [path, bytes] of source) if (path.startsWith(prefix)) files.set(path, bytes);
}

function wholeCells(): Cell[] {
  const whole = (target: string, operation: Operation, damage: Change, more: More): Cell =>
    cell(target, operation, damage, { at: anywhere, ...more });
  const rolledBack: FailureClass[] = ["rolled_back"];
  const wrongKey: FailureClass[] = ["wrong_key"];
  return [
    whole("ledger", "roll back", (files, { older }) => copyFrom(files, older, "ledger/"), {
      classes: rolledBack,
      unseen: { "no bucket": "L8" },
    }),
    whole(
      "segments",
      "roll back",
      (files, { older }) => copyFrom(files, older, "ledger/segments/"),
      {
        classes: ["truncated"],
      },
    ),
    whole("tiles", "roll back", (files, { older }) => copyFrom(files, older, "ledger/tile/"), {
      classes: ["gap"],
    }),
    whole("tiles", "delete", (files) => copyFrom(files, new Map(), "ledger/tile/"), {
      classes: ["gap"],
    }),
    whole("bucket", "roll back", (files, { older }) => copyFrom(files, older, "bucket/"), {
      unseen: { operator: "L5", auditor: "L5", "no bucket": "H4", "no key": "L5" },
    }),
    whole("bucket", "delete", (files) => copyFrom(files, new Map(), "bucket/"), {
      unseen: { operator: "L5", auditor: "L5", "no bucket": "H4", "no key": "L5" },
    }),
    whole("bucket checkpoint", "roll back", nameOneOlder, {
      variant: "by one root",
      unseen: { operator: "L10", auditor: "L10", "no bucket": "H4", "no key": "L10" },
    }),
    whole("ledger and bucket", "roll back", (files, { older }) => copyFrom(files, older, ""), {
      unseen: { operator: "L6", auditor: "L6", "no bucket": "L6", "no key": "L6" },
    }),
    whole(
      "ledger",
      "replace whole ledger",
      (files, { other }) => copyFrom(files, other, "ledger/"),
      {
        classes: ["wrong_key", "spliced"],
      },
    ),
    whole(
      "ledger and bucket",
      "replace whole ledger",
      (files, { other }) => copyFrom(files, other, ""),
      {
        classes: wrongKey,
        unseen: { "no key": "L7" },
      },
    ),
    whole("every root", "replace key", resignAll, { classes: wrongKey }),
    whole("every root and ledger.json", "replace key", replaceKey, {
      classes: ["spliced", "wrong_key"],
    }),
  ];
}

/** As where a publisher stopped between keeping a root and naming it the newest. */
const nameOneOlder: Change = (files) => {
  const size = keptSizes(files).at(-2)!;
  files.set(bucketRoot, files.get(`bucket/checkpoints/${size}`)!);
};

const resignAll: Change = (files) => {
  for (const [path, bytes] of files) {
    if (!/\/checkpoint(?:s\/\d+)?$/.test(path)) continue;
    const { origin, size, root } = parseCheckpoint(bytes);
    files.set(path, Buffer.from(signCheckpoint({ origin, size, root }, [forger(origin)])));
  }
};

const replaceKey: Change = (files, subject) => {
  resignAll(files, subject);
  const key = toHex(forger("any").publicKey);
  editText(descriptorPath, (text) =>
    text.replace(/("first_log_key":")[^"]*/, (_, before) => before + key),
  )(files, subject);
};

export const wholeLogCells: readonly Cell[] = wholeCells();
