/** What cells of whole files are made of. */
import type { EvidenceFiles } from "../../ledger/evidence-files.ts";
import type { Cell, Operation } from "./cell.ts";
import type { Subject } from "./subject.ts";

export const descriptorPath = "ledger/ledger.json";
export const localRoot = "ledger/checkpoint";
export const bucketRoot = "bucket/checkpoint";

export type Change = (files: EvidenceFiles, subject: Subject) => void;
export type More = Partial<Pick<Cell, "variant" | "classes" | "unseen">>;

export function cell(
  target: string,
  operation: Operation,
  damage: Change,
  more: More & Pick<Cell, "at">,
): Cell {
  return { target, operation, damage, ...more };
}

export const inFile =
  (...names: string[]): Cell["at"] =>
  ({ file }) =>
    names.some((name) => file?.startsWith(name));
/** Who has no bucket is not misled by it. */
export const notInBucket = { "no bucket": "H4" } as const;

export const inSegments: Cell["at"] = ({ segment }) => segment !== undefined;
export const anywhere: Cell["at"] = () => true;
export const inRoots = inFile("checkpoint", "bucket/checkpoint");

export function editText(path: string, change: (text: string) => string): Change {
  return (files) => {
    const text = files.get(path)!.toString("latin1");
    files.set(path, Buffer.from(change(text), "latin1"));
  };
}

export const remove =
  (path: string): Change =>
  (files) =>
    files.delete(path);

export function flip(files: EvidenceFiles, path: string, at: number): void {
  const bytes = Buffer.from(files.get(path)!);
  bytes[at < 0 ? bytes.length + at : at]! ^= 1;
  files.set(path, bytes);
}
