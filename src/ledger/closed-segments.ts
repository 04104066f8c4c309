/** What a state snapshot remembers of the segments before it, so that a start need not read them. */
import { join } from "node:path";

import { sha256Hex } from "../bytes/sha256.ts";
import type { Files } from "./files.ts";
import { parseSegmentName, segmentName } from "./segment-name.ts";

interface SegmentsBelow {
  /** Records that they hold. */
  readonly size: number;
  /** The segment that holds the last of them, and where its line ends. */
  readonly segment: { readonly first: number; readonly end: number };
}

/** Number, and digest of names and bytes: one that is missing or has another length is noticed. */
export async function segmentsDigest(
  directory: string,
  files: Pick<Files, "list" | "size">,
  { size, segment }: SegmentsBelow,
): Promise<{ readonly count: number; readonly digest: string }> {
  const folder = join(directory, "segments");
  const firsts = (await files.list(folder))
    .map(parseSegmentName)
    .filter((first) => first !== undefined && first < size);
  const lines = firsts.map(async (first) => {
    const name = segmentName(first!);
    // That one was written on.
    const bytes = first === segment.first ? segment.end : await files.size(join(folder, name));
    return `${name} ${bytes}\n`;
  });
  const text = (await Promise.all(lines)).join("");
  return { count: firsts.length, digest: sha256Hex(Buffer.from(text)) };
}
