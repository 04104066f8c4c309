/** Cells of segments: each member of a line, whole lines, and segment files. */
import type { Failure } from "../../../src/ledger/verify/report.ts";
import type { EvidenceFiles } from "../../ledger/evidence-files.ts";
import type { Cell, Reader } from "./cell.ts";
import type { LimitId } from "./limits.ts";
import { keptSizes, linesOf, recordsOf, segmentPaths, setLines, type Found } from "./subject.ts";

type Unseen = Partial<Record<Reader, LimitId>>;

/** Behind the newest root nobody without the chain key sees a change. */
const tail: Unseen = { auditor: "L1", "no key": "L1" };

interface Region {
  readonly name: string;
  readonly unseen: Unseen;
  victim(files: EvidenceFiles): Found;
}

/** An action with records of its chain before it and behind it, between lines of its segment. */
function isVictim(records: readonly Found[], at: number): boolean {
  const [before, { head, segment }, next] = [records[at - 2], records[at]!, records[at + 2]];
  const isPlain = head["kind"] === "action" && (head["sequence"] as number) > 2;
  const isInside = before?.segment === segment && next?.segment === segment;
  const follows = records.slice(at + 1).some((later) => later.head["tenant"] === head["tenant"]);
  return isPlain && isInside && follows;
}

/** The nearest line of the segment behind it that is an action of another tenant. */
function partnerOf(lines: readonly string[], place: number): number {
  const tenantOf = (line: string): string =>
    /"kind":"action".*?("tenant":"[^"]*")/.exec(line)?.[1] ?? "";
  const own = tenantOf(lines[place]!);
  return lines.findIndex(
    (line, at) => at > place && tenantOf(line) !== "" && tenantOf(line) !== own,
  );
}

const regions: readonly Region[] = [
  {
    name: "line",
    unseen: {},
    victim(files) {
      const records = recordsOf(files);
      const [, second, third] = segmentPaths(files);
      const first = records.findIndex(({ path }) => path === second);
      const end = records.findIndex(({ path }) => path === third);
      const middle = first + Math.floor((end - first) / 3);
      return records.find((_, at) => at >= middle && isVictim(records, at))!;
    },
  },
  {
    name: "line behind the newest root",
    unseen: tail,
    victim(files) {
      const records = recordsOf(files);
      const covered = keptSizes(files).at(-1)!;
      return records.find((_, at) => at > covered + 1 && isVictim(records, at))!;
    },
  },
];

function changeLine(files: EvidenceFiles, found: Found, change: (line: string) => string): void {
  const lines = linesOf(files, found.path);
  lines[found.at] = change(lines[found.at]!);
  setLines(files, found.path, lines);
}

/** At the line itself or beside it, at the next one of its chain, or at its entry in a tile. */
function at(region: Region, near = 1): Cell["at"] {
  let victim: Found | undefined;
  return (place) => {
    victim = placed.get(region);
    if (victim === undefined) return false;
    const line = victim.at + 1;
    const isNextOfChain =
      place.tenant === victim.head["tenant"] &&
      place.sequence === (victim.head["sequence"] as number) + 1;
    const isLine = place.segment === victim.segment && Math.abs((place.line ?? -9) - line) <= near;
    return isLine || isNextOfChain || isEntry(place, victim.head["index"] as number);
  };
}

/** The victim of the damage that was done last, for `at`. */
const placed = new Map<Region, Found>();

function isEntry(place: Failure["place"], index: number): boolean {
  return place.file?.includes("tile/") === true && place.index === index;
}

const replace =
  (from: RegExp | string, to: string | ((...parts: string[]) => string)) =>
  (line: string): string =>
    line.replace(from, to as string);

/** Another digit in the place of the first one, so that the shape stays. */
const digitOf = (member: string): ((line: string) => string) =>
  replace(new RegExp(`("${member}":")(.)`), (_, before, digit) => before + (digit === "0" ? 1 : 0));

const step = (member: string, by: number): ((line: string) => string) =>
  replace(new RegExp(`("${member}":)(\\d+)`), (_, before, count) => before + (Number(count) + by));

const memberEdits: readonly [target: string, change: (line: string) => string, variant?: string][] =
  [
    ["head.body_digest", digitOf("body_digest")],
    ["head.group", step("group", -1)],
    ["head.id", digitOf("id")],
    ["head.index", step("index", 1), "to the next"],
    ["head.index", step("index", 1_000_000), "far away"],
    ["head.key", replace(/("key":"\d+:)(.)/, (_, b, d) => b + (d === "0" ? 1 : 0)), "check value"],
    ["head.key", replace(/("key":")(\d+)/, (_, b, epoch) => b + (Number(epoch) + 1)), "epoch"],
    ["head.kind", replace('"kind":"action"', '"kind":"gap"')],
    ["head.namespace", replace(/("namespace":")./, "$1q")],
    ["head.previous_mac", digitOf("previous_mac")],
    ["head.sequence", step("sequence", 1)],
    ["head.tenant", replace(/("tenant":")./, "$1q")],
    ["head.time", replace(/("time":")(\d+)/, (_, b, t) => b + (BigInt(t) + 1n)), "later"],
    ["head.time", replace(/("time":")(\d+)/, (_, b, t) => b + (BigInt(t) - 10n ** 15n)), "earlier"],
    ["head.version", replace('"version":1', '"version":2')],
    ["head.writer", digitOf("writer")],
    ["mac", digitOf("mac")],
    ["body", replace(/("nonce":")(.)/, (_, b, d) => b + (d === "0" ? 1 : 0)), "nonce"],
    ["body", replace('"schema":"spanseal.record/v1"', '"schema":"spanseal.record/v2"'), "schema"],
  ];

const memberDeletes: typeof memberEdits = [
  ...["body_digest", "id", "key", "kind", "namespace", "previous_mac", "tenant", "time"].map(
    (member): [string, (line: string) => string] => [
      `head.${member}`,
      replace(new RegExp(`"${member}":"[^"]*",`), ""),
    ],
  ),
  ...["group", "index", "sequence", "version"].map((member): [string, (line: string) => string] => [
    `head.${member}`,
    replace(new RegExp(`"${member}":\\d+,`), ""),
  ]),
  ["head.writer", replace(/,"writer":"[^"]*"/, "")],
  ["mac", replace(/,"mac":"[^"]*"/, "")],
  ["body", replace(/,"body":.*/, "}")],
  ["body", replace(/,"nonce":"[^"]*"/, ""), "a member"],
];

const otherEdits: readonly [Cell["operation"], string, (line: string) => string, string?][] = [
  [
    "insert",
    "head.conflict_of",
    replace('","group"', `","conflict_of":"${"a".repeat(64)}","group"`),
  ],
  ["insert", "head", replace('"version":1', '"unknown":1,"version":1'), "an unknown member"],
  ["insert", "body", replace(/\}\}$/, ',"z":1}}'), "a member"],
  ["insert", "line", replace('{"head"', '{ "head"'), "white space"],
  ["insert", "line", (line) => `${line}\r`, "a carriage return"],
  ["insert", "line", (line) => `${line}x`, "a letter"],
  ["duplicate", "head.id", replace(/("id":"[^"]*",)/, "$1$1")],
  ["duplicate", "mac", replace(/(,"mac":"[^"]*")/, "$1$1")],
  ["duplicate", "body", replace(/(,"body":.*\})\}$/, "$1$1}")],
  ["reorder", "head", replace(/("key":"[^"]*"),("kind":"[^"]*")/, "$2,$1")],
  ["truncate head", "line", (line) => line.slice(20)],
  ["truncate tail", "line", (line) => line.slice(0, -20)],
];

function memberCells(region: Region): Cell[] {
  const cell = (
    operation: Cell["operation"],
    [target, change, variant]: (typeof memberEdits)[number],
    unseen: Unseen,
  ): Cell => ({
    target: region.name === "line" ? target : `${target}, behind the newest root`,
    operation,
    ...(variant !== undefined && { variant }),
    damage(files) {
      const victim = region.victim(files);
      placed.set(region, victim);
      changeLine(files, victim, change);
    },
    at: at(region),
    unseen,
  });
  // What needs no key is seen behind the root too: shape, place, body.
  return [
    ...memberEdits.map((one) => cell("edit", one, isBound(one[0], one[2]) ? region.unseen : {})),
    ...memberDeletes.map((one) => cell("delete", one, {})),
    ...otherEdits.map(([operation, target, change, variant]) =>
      cell(
        operation,
        [
          target,
          change,
          ...(variant === undefined ? [] : [variant]),
        ] as unknown as (typeof memberEdits)[number],
        target === "head.conflict_of" ? region.unseen : {},
      ),
    ),
  ];
}

/** True where only a key or a root binds the member. */
function isBound(target: string, variant: string | undefined): boolean {
  return /^head\.(?:id|kind)$/.test(target) || (target === "head.time" && variant === "later");
}

/** Lines around a place, with the cell's own idea of what to do to them. */
function lineCell(
  region: Region,
  operation: Cell["operation"],
  edit: (
    lines: string[],
    place: number,
    context: { files: EvidenceFiles; other: EvidenceFiles },
  ) => void,
  more: Partial<Cell> = {},
): Cell {
  return {
    target: region.name,
    operation,
    damage(files, { other }) {
      const victim = region.victim(files);
      placed.set(region, victim);
      const lines = linesOf(files, victim.path);
      edit(lines, victim.at, { files, other });
      setLines(files, victim.path, lines);
    },
    at: at(region, 2),
    ...more,
  };
}

const swapMembers = (left: string, right: string, pattern: RegExp): [string, string] => {
  const [ofLeft, ofRight] = [pattern.exec(left)![0], pattern.exec(right)![0]];
  return [left.replace(pattern, () => ofRight), right.replace(pattern, () => ofLeft)];
};

function wholeLineCells(region: Region): Cell[] {
  const swapped =
    (pattern: RegExp) =>
    (lines: string[], place: number): void => {
      const partner = partnerOf(lines, place);
      [lines[place], lines[partner]] = swapMembers(lines[place]!, lines[partner]!, pattern);
    };
  return [
    lineCell(region, "delete", (lines, place) => lines.splice(place, 1), { classes: ["gap"] }),
    lineCell(region, "duplicate", (lines, place) => lines.splice(place, 0, lines[place]!), {
      variant: "beside itself",
      classes: ["duplicate"],
    }),
    lineCell(region, "duplicate", (lines, place) => lines.splice(place, 1, lines[place - 2]!), {
      variant: "over another",
      classes: ["duplicate"],
    }),
    lineCell(
      region,
      "insert",
      (lines, place, { other }) => lines.splice(place, 0, lineOfOther(other, place)),
      { variant: "of another log", classes: ["spliced"] },
    ),
    lineCell(
      region,
      "insert",
      (lines, place) => lines.splice(place, 0, madeUp(lines[place - 2]!)),
      {
        variant: "made up",
      },
    ),
    lineCell(region, "insert", (lines, place) => lines.splice(place, 0, "{}"), {
      variant: "no record",
    }),
    lineCell(region, "insert", (lines, place) => lines.splice(place, 0, ""), { variant: "empty" }),
    lineCell(
      region,
      "reorder",
      (lines, place) => lines.splice(place, 2, lines[place + 1]!, lines[place]!),
      { classes: ["reordered"] },
    ),
    lineCell(region, "swap between tenants", swapped(/"tenant":"[^"]*"/), { variant: "names" }),
    lineCell(region, "swap between tenants", swapped(/"body":\{.*\}(?=\}$)/), {
      variant: "bodies",
    }),
    lineCell(region, "swap between tenants", swapped(/"mac":"[^"]*"/), { variant: "MACs" }),
    lineCell(
      region,
      "swap between tenants",
      swapped(/"body_digest":"[^"]*"|"body":\{.*\}(?=\}$)/),
      {
        variant: "digests",
      },
    ),
  ];
}

function lineOfOther(other: EvidenceFiles, place: number): string {
  const lines = linesOf(other, segmentPaths(other)[0]!);
  return lines[place % lines.length]!;
}

/** As well as one without the chain key can make it. */
function madeUp(line: string): string {
  const found = /"index":(\d+).*"sequence":(\d+).*"mac":"([0-9a-f]{64})"/.exec(line)!;
  return line
    .replace(/"index":\d+/, `"index":${Number(found[1]) + 2}`)
    .replace(/"group":\d+/, `"group":${Number(found[1]) + 2}`)
    .replace(/"sequence":\d+/, `"sequence":${Number(found[2]) + 1}`)
    .replace(/"previous_mac":"[^"]*"/, `"previous_mac":"${found[3]}"`)
    .replace(/"mac":"[^"]*"/, `"mac":"${"ab".repeat(32)}"`);
}

export const lineCells: readonly Cell[] = [
  ...regions.flatMap(memberCells),
  ...regions.flatMap(wholeLineCells),
];
