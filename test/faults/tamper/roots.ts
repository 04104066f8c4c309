/** Cells of signed roots: of the ledger, and newest, newest kept and older in the bucket. */
import { parseCheckpoint, signCheckpoint } from "../../../src/ledger/checkpoint.ts";
import type { FailureClass } from "../../../src/ledger/verify/report.ts";
import type { EvidenceFiles } from "../../ledger/evidence-files.ts";
import type { Cell, Operation } from "./cell.ts";
import {
  notInBucket,
  localRoot,
  bucketRoot,
  cell,
  editText,
  type Change,
  type More,
} from "./damage.ts";
import { forger, keptSizes } from "./subject.ts";

interface Root {
  readonly target: string;
  path(files: EvidenceFiles): string;
  readonly more: More;
  /** What is said where it is not there; absent where nobody misses it. */
  readonly missing: More;
  readonly rolledBack: More;
}

const roots: readonly Root[] = [
  {
    target: "ledger checkpoint",
    path: () => localRoot,
    more: {},
    missing: { classes: ["gap"], unseen: { "no bucket": "L11" } },
    rolledBack: { classes: ["rolled_back"], unseen: { "no bucket": "L2" } },
  },
  {
    target: "bucket checkpoint",
    path: () => bucketRoot,
    more: { unseen: notInBucket },
    missing: { classes: ["gap"], unseen: notInBucket },
    rolledBack: { classes: ["rolled_back"], unseen: notInBucket },
  },
  {
    target: "bucket checkpoints/<older>",
    path: (files) => `bucket/checkpoints/${keptSizes(files)[1]}`,
    more: { unseen: notInBucket },
    missing: { unseen: { operator: "L3", auditor: "L3", "no bucket": "H4", "no key": "L3" } },
    rolledBack: { classes: ["altered"], unseen: notInBucket },
  },
  {
    target: "bucket checkpoints/<newest>",
    path: (files) => `bucket/checkpoints/${keptSizes(files).at(-1)}`,
    more: { unseen: notInBucket },
    missing: { classes: ["gap"], unseen: notInBucket },
    rolledBack: { classes: ["altered"], unseen: notInBucket },
  },
];

/** Another character of base64 that is as canonical, not at the end. */
const otherLetter = (letter: string): string => (letter === "A" ? "B" : "A");

const noteEdits: readonly [
  part: string,
  Operation,
  (note: string) => string,
  FailureClass[],
  string?,
][] = [
  ["origin", "edit", (note) => `x${note}`, ["spliced"]],
  [
    "size",
    "edit",
    (note) => note.replace(/\n(\d+)\n/, (_, size) => `\n${Number(size) + 1}\n`),
    ["altered", "truncated"],
  ],
  ["size", "edit", (note) => note.replace(/\n(\d+)\n/, "\n0$1\n"), ["malformed"], "a leading zero"],
  [
    "root",
    "edit",
    (note) => note.replace(/(\n\d+\n..)(.)/, (_, b, l) => b + otherLetter(l)),
    ["altered"],
  ],
  [
    "signature",
    "edit",
    (note) => note.replace(/(.{20})(.)(.{9}\n)$/, (_, b, l, e) => b + otherLetter(l) + e),
    ["altered"],
  ],
  [
    "key name",
    "edit",
    (note) => note.replace("\u00e2\u0080\u0094 ", "\u00e2\u0080\u0094 x"),
    ["wrong_key"],
  ],
  [
    "key id",
    "edit",
    (note) => note.replace(/( )(.)([^ ]*\n)$/, (_, b, l, e) => b + otherLetter(l) + e),
    ["wrong_key"],
  ],
  ["signature", "delete", (note) => note.replace(/\n\n.*/s, "\n\n"), ["malformed"]],
  [
    "note",
    "insert",
    (note) => note.replace("\n\n", "\nextension\n\n"),
    ["malformed"],
    "an extension line",
  ],
  ["note", "insert", (note) => note.replace(/\n/, "\r\n"), ["malformed"], "a carriage return"],
  ["note", "insert", (note) => `${note}\n`, ["malformed"], "an empty line at the end"],
  ["note", "insert", (note) => `${note}x`, ["malformed"], "a letter at the end"],
  ["note", "insert", (note) => `\n${note}`, ["malformed"], "an empty line before it"],
  ["root", "duplicate", (note) => note.replace(/(\n[^\n]+)(\n\n)/, "$1$1$2"), ["malformed"]],
  ["note", "reorder", (note) => note.replace(/^([^\n]*)\n([^\n]*)\n/, "$2\n$1\n"), ["malformed"]],
  ["note", "truncate head", (note) => note.slice(note.indexOf("\n") + 1), ["malformed"]],
  ["note", "truncate tail", (note) => note.slice(0, -20), ["malformed"]],
];

function rootCells(root: Root): Cell[] {
  const at: Cell["at"] = ({ file }) => file !== undefined && isOf(root.target, file);
  const change =
    (edit: (note: string) => string): Change =>
    (files) =>
      editText(root.path(files), edit)(files, undefined as never);
  const whole = (operation: Operation, damage: Change, more: More): Cell =>
    cell(root.target, operation, damage, { at, ...more });
  return [
    ...noteEdits.map(([part, operation, edit, classes, variant]) =>
      cell(`${root.target} ${part}`, operation, change(edit), {
        at,
        ...root.more,
        classes,
        ...(variant !== undefined && { variant }),
      }),
    ),
    whole("delete", (files) => files.delete(root.path(files)), root.missing),
    whole(
      "insert",
      change((note) => note + unknownSignature(note)),
      {
        variant: "a signature of an unknown key",
        unseen: harmless,
      },
    ),
    whole(
      "duplicate",
      change((note) => note + note.slice(note.lastIndexOf("\n\n") + 2)),
      {
        variant: "its signature",
        unseen: harmless,
      },
    ),
    whole(
      "insert",
      change((note) => badSignature(note) + note.slice(note.lastIndexOf("\n\n") + 2)),
      {
        variant: "a second, bad signature of its key",
        classes: ["altered"],
        ...root.more,
      },
    ),
    whole("roll back", rollBack(root), root.rolledBack),
    whole("forge", forgeRoot(root, "unsigned"), {
      ...root.more,
      variant: "another root under the old signature",
      classes: ["altered"],
    }),
    whole("forge", forgeRoot(root, "forged"), {
      ...root.more,
      variant: "another root, signed by another key",
      classes: ["wrong_key"],
    }),
    whole("replace key", forgeRoot(root, "resigned"), { ...root.more, classes: ["wrong_key"] }),
    whole(
      "replace whole ledger",
      (files, { other }) => files.set(root.path(files), other.get(localRoot)!),
      {
        ...root.more,
        variant: "the root of another log",
        classes: ["spliced"],
      },
    ),
  ];
}

const harmless = { operator: "H1", auditor: "H1", "no bucket": "H1", "no key": "H1" } as const;

function isOf(target: string, file: string): boolean {
  if (target === "ledger checkpoint") return file === "checkpoint";
  if (target === "bucket checkpoint") return file === "bucket/checkpoint";
  return file.startsWith("bucket/checkpoints/");
}

function rollBack(root: Root): Change {
  return (files) => {
    const oldest = files.get(`bucket/checkpoints/${keptSizes(files)[0]}`)!;
    files.set(root.path(files), oldest);
  };
}

function unknownSignature(note: string): string {
  const origin = note.split("\n")[0]!;
  const signed = signCheckpoint({ origin, size: 1, root: Buffer.alloc(32) }, [forger(origin)]);
  return Buffer.from(signed).toString("latin1").split("\n\n")[1]!;
}

/** The note with a digit of its signature changed. */
function badSignature(note: string): string {
  return note.replace(/(.{20})(.)(.{9}\n)$/, (_, b, l, e) => b + otherLetter(l) + e);
}

function forgeRoot(root: Root, how: "unsigned" | "forged" | "resigned"): Change {
  return (files) => {
    const path = root.path(files);
    const { origin, size, root: hash, note } = parseCheckpoint(files.get(path)!);
    const other = how === "resigned" ? hash : Buffer.alloc(32, 7);
    const forged = Buffer.from(signCheckpoint({ origin, size, root: other }, [forger(origin)]));
    if (how !== "unsigned") {
      files.set(path, forged);
      return;
    }
    const [text] = forged.toString("latin1").split("\n\n");
    const [, signatures] = Buffer.from(note.bytes).toString("latin1").split("\n\n");
    files.set(path, Buffer.from(`${text}\n\n${signatures}`, "latin1"));
  };
}

export const rootFileCells: readonly Cell[] = roots.flatMap(rootCells);
