/** Cells of segment files, of the end of the log, and of the descriptor. */
import type { FailureClass } from "../../../src/ledger/verify/report.ts";
import type { EvidenceFiles } from "../../ledger/evidence-files.ts";
import type { Cell, Operation } from "./cell.ts";
import {
  descriptorPath,
  cell,
  editText,
  inSegments,
  anywhere,
  inRoots,
  remove,
  type Change,
  type More,
} from "./damage.ts";
import { keptSizes, linesOf, recordsOf, segmentPaths, setLines } from "./subject.ts";

const segmentAt = (files: EvidenceFiles, at: number): string => segmentPaths(files).at(at)!;

function segmentCells(): Cell[] {
  const seg = (operation: Operation, change: Change, more: More = {}, at = inSegments): Cell =>
    cell("segment", operation, change, { at, ...more });
  const gap: FailureClass[] = ["gap"];
  return [
    seg("delete", (files) => files.delete(segmentAt(files, 0)), { variant: "first", classes: gap }),
    seg("delete", (files) => files.delete(segmentAt(files, 1)), {
      variant: "middle",
      classes: gap,
    }),
    seg(
      "delete",
      (files) => files.delete(segmentAt(files, -1)),
      { variant: "newest", classes: ["truncated"] },
      inRoots,
    ),
    seg("edit", rename(1, 1), { variant: "name of a middle one" }),
    seg("edit", rename(-1, 1), { variant: "name of the newest", classes: ["reordered"] }),
    seg("duplicate", (files) => files.set(nameFrom(files, 1, 1), files.get(segmentAt(files, 1))!), {
      classes: ["duplicate", "reordered"],
    }),
    seg(
      "insert",
      (files, { other }) => files.set(nameFrom(files, 0, 1), other.get(segmentAt(other, 0))!),
      {
        variant: "of another log",
      },
    ),
    seg("insert", (files) => files.set(nameFrom(files, 0, 1), Buffer.alloc(0)), {
      variant: "an empty one in the middle",
      classes: ["reordered"],
    }),
    seg("insert", (files) => files.set(afterEnd(files), Buffer.alloc(0)), {
      variant: "an empty one at the end",
      unseen: { operator: "H3", auditor: "H3", "no bucket": "H3", "no key": "H3" },
    }),
    seg("truncate head", truncateSegment(1, "head"), { classes: ["malformed", "gap"] }),
    seg("truncate tail", truncateSegment(1, "tail"), { classes: ["truncated", "gap"] }),
    seg("edit", (files) => files.set(segmentAt(files, 1), Buffer.alloc(0)), {
      variant: "emptied",
      classes: gap,
    }),
    seg("swap segments", swapContents, { classes: ["reordered"] }),
    ...tailCells(),
  ];
}

/** Path of a segment `by` records further on. */
function nameFrom(files: EvidenceFiles, at: number, by: number): string {
  const path = segmentAt(files, at);
  return path.replace(/\d{16}/, (first) => String(Number(first) + by).padStart(16, "0"));
}

function afterEnd(files: EvidenceFiles): string {
  return segmentAt(files, 0).replace(/\d{16}/, String(recordsOf(files).length).padStart(16, "0"));
}

function rename(at: number, by: number): Change {
  return (files) => {
    const [from, to] = [segmentAt(files, at), nameFrom(files, at, by)];
    files.set(to, files.get(from)!);
    files.delete(from);
  };
}

function truncateSegment(at: number, end: "head" | "tail"): Change {
  return (files) => {
    const path = segmentAt(files, at);
    const bytes = files.get(path)!;
    const half = Math.floor(bytes.length / 2) + 7;
    files.set(path, Buffer.from(end === "head" ? bytes.subarray(half) : bytes.subarray(0, half)));
  };
}

const swapContents: Change = (files) => {
  const [left, right] = [segmentAt(files, 0), segmentAt(files, 1)];
  const bytes = files.get(left)!;
  files.set(left, files.get(right)!);
  files.set(right, bytes);
};

/** The end of the newest segment, before and behind the newest root. */
function tailCells(): Cell[] {
  const cut =
    (below: boolean): Change =>
    (files) => {
      const path = segmentAt(files, -1);
      const covered = keptSizes(files).at(-1)!;
      const first = recordsOf(files).length - linesOf(files, path).length;
      const keep = covered - first + (below ? -3 : 2);
      setLines(files, path, linesOf(files, path).slice(0, keep));
    };
  const seen = { operator: "L2", auditor: "L2", "no bucket": "L2", "no key": "L2" } as const;
  const torn = { operator: "L9", auditor: "L9", "no bucket": "L9", "no key": "L9" } as const;
  return [
    cell("log's end", "truncate tail", cut(true), {
      at: inRoots,
      variant: "before the newest root",
      classes: ["truncated"],
    }),
    cell("log's end", "truncate tail", cut(false), {
      at: anywhere,
      variant: "behind the newest root",
      unseen: seen,
    }),
    cell("log's end", "insert", appendText("x".repeat(900)), {
      at: anywhere,
      variant: "without line feed",
      unseen: torn,
    }),
    cell("log's end", "insert", appendText(`${"x".repeat(900)}\n`), {
      at: inSegments,
      classes: ["malformed"],
    }),
  ];
}

function appendText(text: string): Change {
  return (files) => editText(segmentAt(files, -1), (all) => all + text)(files, undefined as never);
}

function descriptorCells(): Cell[] {
  const hexDigit = (member: string): Change =>
    editText(descriptorPath, (text) =>
      text.replace(new RegExp(`("${member}":")(.)`), (_, b, d) => b + (d === "1" ? "2" : "1")),
    );
  const at: Cell["at"] = (place) =>
    inSegments(place) || inRoots(place) || place.file === "ledger.json";
  const edit = (member: string, change: Change = hexDigit(member)): Cell =>
    cell(`ledger.json ${member}`, "edit", change, { at });
  const malformed: More = { classes: ["malformed"] };
  const whole = (operation: Operation, change: Change, more: More = malformed): Cell =>
    cell("ledger.json", operation, change, { at, ...more });
  const text = (change: (text: string) => string): Change => editText(descriptorPath, change);
  return [
    edit(
      "algorithms",
      text((all) => all.replace("SHA-256", "SHA-255")),
    ),
    edit("created"),
    edit("first_log_key"),
    edit(
      "format",
      text((all) => all.replace("ledger/v1", "ledger/v2")),
    ),
    edit("instance"),
    edit(
      "origin",
      text((all) => all.replace('"origin":"', '"origin":"x')),
    ),
    edit(
      "predecessor",
      text((all) =>
        all.replace(
          '"predecessor":null',
          `"predecessor":{"origin":"x","root":"${"a".repeat(64)}","size":1}`,
        ),
      ),
    ),
    whole("delete", remove(descriptorPath)),
    whole(
      "insert",
      text((all) => `${all}\n`),
      { ...malformed, variant: "a line feed" },
    ),
    whole(
      "insert",
      text((all) => all.replace("{", '{"a":1,')),
      { ...malformed, variant: "a member" },
    ),
    whole(
      "duplicate",
      text((all) => all.replace(/("created":"\d+",)/, "$1$1")),
    ),
    whole(
      "reorder",
      text((all) => all.replace(/("created":"\d+"),("first_log_key":"[^"]*")/, "$2,$1")),
    ),
    whole(
      "truncate head",
      text((all) => all.slice(9)),
    ),
    whole(
      "truncate tail",
      text((all) => all.slice(0, -9)),
    ),
    whole(
      "replace whole ledger",
      (files, { other }) => files.set(descriptorPath, other.get(descriptorPath)!),
      {
        classes: ["spliced", "wrong_key"],
        variant: "of another log",
      },
    ),
  ];
}

export const segmentFileCells: readonly Cell[] = [...segmentCells(), ...descriptorCells()];
