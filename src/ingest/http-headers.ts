/** What the headers of an OTLP/HTTP request say about its body. */
import type { IncomingHttpHeaders } from "node:http";
import type { Encoding } from "./inflate.ts";

export type Format = "protobuf" | "json";

export const MEDIA_TYPES: Readonly<Record<Format, string>> = {
  protobuf: "application/x-protobuf",
  json: "application/json",
};

/** @returns null for any other media type. Parameters and case do not count (RFC 9110 8.3.1). */
export function formatOf(contentType: string | undefined): Format | null {
  const [mediaType] = (contentType ?? "").split(";", 1);
  const name = mediaType!.trim().toLowerCase();
  if (name === MEDIA_TYPES.protobuf) return "protobuf";
  return name === MEDIA_TYPES.json ? "json" : null;
}

/** What a refused sender may use instead. */
export const ENCODINGS = "gzip, deflate, zstd";

const CODINGS: Readonly<Record<string, Encoding>> = {
  gzip: "gzip",
  // RFC 9110 8.4.1.3: an old name of the same coding.
  "x-gzip": "gzip",
  deflate: "deflate",
  // The collector's name of the same.
  zlib: "deflate",
  zstd: "zstd",
};

/** @returns null for a coding that is not known, or more than one. */
export function encodingOf(contentEncoding: string | undefined): Encoding | null {
  const names = (contentEncoding ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "" && name !== "identity");
  if (names.length > 1) return null;
  const [name] = names;
  if (name === undefined) return "identity";
  return Object.hasOwn(CODINGS, name) ? CODINGS[name]! : null;
}

/** The announced size of the body; 0 where it comes in chunks. */
export function declaredBytesOf(headers: IncomingHttpHeaders): number {
  return Number(headers["content-length"] ?? 0);
}
