/**
 * One entry of a spool file: a header of 64 bytes, little-endian, then the request as it is sent.
 *
 * ```
 *  0  4  magic "SPL1"
 *  4  4  CRC-32 of bytes 8 to 64
 *  8  4  payload bytes
 * 12  4  CRC-32 of the payload
 * 16  8  number of the entry, 0, 1, 2 … for each signal
 * 24  8  group: the log's size before the group that the entry was staged with
 * 32  8  first ┐ the records of this request, [first, end)
 * 40  8  end   ┘
 * 48  8  Unix time in milliseconds when it was staged
 * 56  4  offset in the file of the write that this entry is part of
 * 60  4  bytes of that write
 * ```
 *
 * A write is followed by the next one only after it was synced, so the last two members tell a
 * torn end from damage to something that had been durable.
 */
import { crc32 } from "node:zlib";
import type { StagedEntry } from "../ledger/follower.ts";

export const frameHeaderBytes = 64;
const magic = 0x314c_5053;
const fieldsStart = 8;

export interface FrameHeader {
  readonly payloadBytes: number;
  readonly payloadChecksum: number;
  readonly number: number;
  readonly group: number;
  readonly first: number;
  readonly end: number;
  readonly stagedUnixMs: number;
  readonly writeStart: number;
  readonly writeBytes: number;
}

/** Where and when a write happens. */
export interface WriteContext {
  /** Number of the first entry. */
  readonly number: number;
  readonly group: number;
  readonly stagedUnixMs: number;
  /** Offset in the file. */
  readonly writeStart: number;
}

/** Bytes that a request takes in the spool. */
export function frameBytes(payloadBytes: number): number {
  return frameHeaderBytes + payloadBytes;
}

/** Bytes that entries take when they are written. */
export function writeSize(entries: readonly StagedEntry[]): number {
  return entries.reduce((sum, { bytes }) => sum + frameBytes(bytes.length), 0);
}

/** Puts the frames of one group's entries into `target`, whose size is that of the write. */
export function encodeWrite(
  entries: readonly StagedEntry[],
  context: WriteContext,
  target: Buffer = Buffer.allocUnsafe(writeSize(entries)),
): Buffer {
  const writeBytes = target.length;
  let offset = 0;
  let number = context.number;
  for (const { bytes, first, end } of entries) {
    encodeHeader(target, offset, {
      payloadBytes: bytes.length,
      payloadChecksum: crc32(bytes),
      number: number++,
      group: context.group,
      first,
      end,
      stagedUnixMs: context.stagedUnixMs,
      writeStart: context.writeStart,
      writeBytes,
    });
    target.set(bytes, offset + frameHeaderBytes);
    offset += frameBytes(bytes.length);
  }
  return target;
}

/** Writes a header at `offset`, which has room for it. */
export function encodeHeader(target: Buffer, offset: number, header: FrameHeader): void {
  target.writeUInt32LE(magic, offset);
  target.writeUInt32LE(header.payloadBytes, offset + 8);
  target.writeUInt32LE(header.payloadChecksum, offset + 12);
  writeInteger(target, offset + 16, header.number);
  writeInteger(target, offset + 24, header.group);
  writeInteger(target, offset + 32, header.first);
  writeInteger(target, offset + 40, header.end);
  writeInteger(target, offset + 48, header.stagedUnixMs);
  target.writeUInt32LE(header.writeStart, offset + 56);
  target.writeUInt32LE(header.writeBytes, offset + 60);
  const fields = target.subarray(offset + fieldsStart, offset + frameHeaderBytes);
  target.writeUInt32LE(crc32(fields), offset + 4);
}

/** The header at `offset`, or undefined where there is none that could have been written. */
export function parseHeader(bytes: Buffer, offset: number): FrameHeader | undefined {
  if (offset + frameHeaderBytes > bytes.length) return undefined;
  if (bytes.readUInt32LE(offset) !== magic) return undefined;
  const fields = bytes.subarray(offset + fieldsStart, offset + frameHeaderBytes);
  if (crc32(fields) !== bytes.readUInt32LE(offset + 4)) return undefined;
  return {
    payloadBytes: bytes.readUInt32LE(offset + 8),
    payloadChecksum: bytes.readUInt32LE(offset + 12),
    number: readInteger(bytes, offset + 16),
    group: readInteger(bytes, offset + 24),
    first: readInteger(bytes, offset + 32),
    end: readInteger(bytes, offset + 40),
    stagedUnixMs: readInteger(bytes, offset + 48),
    writeStart: bytes.readUInt32LE(offset + 56),
    writeBytes: bytes.readUInt32LE(offset + 60),
  };
}

/** The payload behind a header, a view; undefined where it is cut off or not what was written. */
export function framePayload(
  bytes: Buffer,
  offset: number,
  header: FrameHeader,
): Buffer | undefined {
  const start = offset + frameHeaderBytes;
  if (start + header.payloadBytes > bytes.length) return undefined;
  const payload = bytes.subarray(start, start + header.payloadBytes);
  return crc32(payload) === header.payloadChecksum ? payload : undefined;
}

/** The first valid header at or after `from` that satisfies `accept`, or undefined. */
export function findHeader(
  bytes: Buffer,
  from: number,
  accept: (header: FrameHeader) => boolean,
): FrameHeader | undefined {
  for (let at = bytes.indexOf("SPL1", from, "latin1"); at >= 0;) {
    const header = parseHeader(bytes, at);
    if (header !== undefined && accept(header)) return header;
    at = bytes.indexOf("SPL1", at + 1, "latin1");
  }
  return undefined;
}

function writeInteger(target: Buffer, offset: number, value: number): void {
  target.writeUInt32LE(value % 0x1_0000_0000, offset);
  target.writeUInt32LE(Math.floor(value / 0x1_0000_0000), offset + 4);
}

function readInteger(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset + 4) * 0x1_0000_0000 + bytes.readUInt32LE(offset);
}
