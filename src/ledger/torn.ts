/**
 * A broken end of the log. A group is written only after the one before it was synced, so damage in
 * the last group is what a power cut leaves; damage before it is not, and is nobody's to repair
 * here. What is set aside is moved to `quarantine/`, never deleted.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";

import { lineBytesMax, quarantineBytesMax, segmentReadBytes } from "../limits.ts";
import { sha256Hex } from "../bytes/sha256.ts";
import type { Files } from "./files.ts";
import { FormatError } from "./format-error.ts";
import type { KeyRing } from "./keys.ts";
import { LedgerError } from "./ledger-error.ts";
import { scanLine } from "./line.ts";
import { isAuthentic } from "./replay.ts";
import { reopenSegment } from "./segment.ts";

export interface BrokenEnd {
  readonly path: string;
  /** The first byte that is not part of a good line. */
  readonly offset: number;
  readonly bytes: number;
  /** Records before it: the size that the log is cut back to. */
  readonly size: number;
  readonly reason: string;
}

/** A tail that was set aside and is not yet written down in the log. */
export interface SetAside {
  readonly name: string;
  readonly bytes: number;
  readonly digest: string;
}

export interface TornSource {
  readonly directory: string;
  readonly files: Files;
  readonly keys: KeyRing;
  readonly descriptorDigest: Uint8Array;
}

const LINE_FEED = 0x0a;
const lineStart = Buffer.from('{"head":{"body_digest":"');
const pendingPrefix = "pending-";

/** @throws LedgerError `damaged` where a record of a later group follows, or it is too long. */
export async function checkOnlyLastGroup(source: TornSource, broken: BrokenEnd): Promise<void> {
  if (broken.bytes > quarantineBytesMax) {
    throw damaged(broken, `${broken.bytes} bytes follow, more than any group has`);
  }
  for await (const index of authenticRecords(source, broken)) {
    // Its group began later than the first record that is missing: that one's group was synced.
    if (index > broken.size) throw damaged(broken, `a record of the later group ${index} follows`);
  }
}

function damaged(broken: BrokenEnd, detail: string): LedgerError {
  return new LedgerError(
    "damaged",
    `${broken.path} is damaged at byte ${broken.offset} (${broken.reason}), and ${detail}: ` +
      "this is no torn write",
    { remedy: 'run "spanseal verify", keep a copy, and restore from a backup' },
  );
}

/** The group of every record of this ledger in the broken part, wherever its line begins. */
async function* authenticRecords(source: TornSource, broken: BrokenEnd): AsyncGenerator<number> {
  const end = broken.offset + broken.bytes;
  let position = broken.offset;
  while (position < end) {
    const wanted = Math.min(segmentReadBytes + lineBytesMax, end - position);
    const bytes = Buffer.from(await source.files.readRange(broken.path, position, wanted));
    // Lines that begin in the last part may end beyond it: they are found in the next round.
    const isLast = position + bytes.length >= end || bytes.length < wanted;
    const limit = isLast ? bytes.length : segmentReadBytes;
    for (const group of groupsIn(bytes, limit, source)) yield group;
    if (isLast) return;
    position += limit;
  }
}

function* groupsIn(bytes: Buffer, limit: number, source: TornSource): Generator<number> {
  let at = bytes.indexOf(lineStart);
  while (at >= 0 && at < limit) {
    const lineFeed = bytes.indexOf(LINE_FEED, at);
    const group = lineFeed < 0 ? undefined : groupOf(bytes, at, lineFeed, source);
    if (group !== undefined) yield group;
    at = bytes.indexOf(lineStart, at + 1);
  }
}

function groupOf(
  bytes: Buffer,
  start: number,
  end: number,
  source: TornSource,
): number | undefined {
  try {
    const line = scanLine(bytes, start, end);
    const isOurs = isAuthentic(line, source.keys, source.descriptorDigest);
    return isOurs ? line.group : undefined;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** Copies the broken end to `quarantine/`, then cuts it off; both are durable on return. */
export async function setAside(source: TornSource, broken: BrokenEnd): Promise<void> {
  const { directory, files } = source;
  const bytes = await files.readRange(broken.path, broken.offset, broken.bytes);
  const name = `${String(broken.size).padStart(16, "0")}-${sha256Hex(bytes).slice(0, 16)}`;
  const path = join(directory, "quarantine", `${pendingPrefix}${name}`);
  await files.createExclusive(path, bytes, 0o600);
  const file = await reopenSegment(files, broken.path);
  try {
    await file.truncate(broken.offset);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** What was set aside, also by a start that ended before it could write that down. */
export async function listSetAside(directory: string, files: Files): Promise<SetAside[]> {
  const folder = join(directory, "quarantine");
  const found: SetAside[] = [];
  for (const name of await files.list(folder)) {
    if (!name.startsWith(pendingPrefix)) continue;
    const path = join(folder, name);
    const bytes = await files.size(path);
    const digest = createHash("sha256");
    for (let at = 0; at < bytes; at += segmentReadBytes) {
      digest.update(await files.readRange(path, at, Math.min(segmentReadBytes, bytes - at)));
    }
    found.push({ name, bytes, digest: digest.digest("hex") });
  }
  return found;
}

/** The record about it is durable. */
export async function settleSetAside(
  directory: string,
  files: Files,
  setAsides: readonly SetAside[],
): Promise<void> {
  const folder = join(directory, "quarantine");
  for (const { name } of setAsides) {
    await files.move(join(folder, name), join(folder, name.slice(pendingPrefix.length)));
  }
}
