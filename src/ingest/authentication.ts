/** Bearer tokens (RFC 6750) from a file, the same for both transports. */
import { timingSafeEqual } from "node:crypto";
import { sha256 } from "../bytes/sha256.ts";
import { reasonOf } from "../bytes/thrown.ts";
import { type Contents, readAll, watchFiles, type WatchLog } from "./file-watch.ts";
import { ReceiverError } from "./receiver-error.ts";
import { Refusal } from "./refusal.ts";

export interface Authentication {
  /**
   * @param authorization the header of that name
   * @returns true where a token proved the sender, false where none is asked for
   * @throws Refusal `unauthenticated`, or `unavailable` while the token file cannot be read
   */
  check(authorization: string | undefined): boolean;
  close(): void;
}

/** No token is asked for. */
export const openToAll: Authentication = { check: () => false, close: () => undefined };

const reloadIntervalMs = 1_000;

/**
 * Accepts the tokens of a file, one a line, so that an old and a new one can hold together for a
 * while. The file is read again when it changes; while it is missing or empty nobody is let in,
 * with a status that asks to try again.
 *
 * @throws ReceiverError `bad_token_file`
 */
export async function openBearerTokens(path: string, log: WatchLog): Promise<Authentication> {
  const remedy = remedyFor(path);
  const { contents, ...tokens } = await readTokens(path);
  let { digests } = tokens;
  const watch = watchFiles([path], reloadIntervalMs, contents, {
    change(next) {
      digests = tokenDigests(next);
      if (digests.length > 0) log("info", "read new bearer tokens");
      else log("error", `nobody is let in, there is no bearer token: ${remedy}`);
    },
    error(error) {
      if (digests.length > 0) log("error", `cannot read the bearer tokens: ${remedy}`, error);
      digests = [];
    },
  });
  return {
    check(authorization) {
      checkToken(authorization, digests);
      return true;
    },
    close: () => watch.close(),
  };
}

/** @throws ReceiverError `bad_token_file` */
export async function readTokens(path: string): Promise<{ contents: Contents; digests: Buffer[] }> {
  const remedy = remedyFor(path);
  const contents = await readAll([path]).catch((cause: unknown) => {
    const message = `cannot read the token file ${path}: ${reasonOf(cause)}`;
    throw new ReceiverError("bad_token_file", message, { remedy, cause });
  });
  const digests = tokenDigests(contents);
  if (digests.length > 0) return { contents, digests };
  throw new ReceiverError("bad_token_file", `the token file ${path} is empty`, { remedy });
}

function remedyFor(path: string): string {
  return `write the token on one line of ${path} and make it readable for this process`;
}

function checkToken(authorization: string | undefined, digests: readonly Buffer[]): void {
  if (digests.length === 0) {
    throw new Refusal("unavailable", "the receiver has no token to compare with: try again");
  }
  const given = /^bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
  if (given === undefined) {
    throw new Refusal("unauthenticated", "expected the header `authorization: Bearer <token>`");
  }
  const digest = digestOf(given);
  let equal = 0;
  // Digests of one length, all of them, without an early end: time tells nothing about a token.
  for (const known of digests) equal |= timingSafeEqual(known, digest) ? 1 : 0;
  if (equal === 0) throw new Refusal("unauthenticated", "the bearer token is not accepted");
}

function tokenDigests([content]: Contents): Buffer[] {
  const lines = content!.toString("utf8").split("\n");
  return lines
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map(digestOf);
}

function digestOf(token: string): Buffer {
  return sha256(Buffer.from(token));
}
