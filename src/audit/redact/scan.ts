/**
 * The one pass over every byte of a request. It knows nothing of protobuf, so the bytes around a
 * value may be tags and lengths that look like text: every test here errs towards a candidate.
 */
import type { Finder } from "./candidates.ts";
import { look } from "./look.ts";
import { numericBytes, scanNumbers } from "./numbers.ts";
import { runBytesMin, Sieve, type Triple, wordsPerHit } from "./sieve.ts";

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const hex = "0123456789abcdefABCDEF";

const any = bytesFrom(0, 0xff);
const high = bytesFrom(0x80, 0xff);

/** Three neighbours that begin, end or stand in what detectors look for. */
const triples: readonly Triple[] = [
  ["@", bytesFrom(0x21, 0xff), any], // address
  [":", `:${hex}`, any], // IPv6
  ["%\\", `uUxX${hex}`, hex], // escapes
  ["bB", "aAeEiIoO_", "aAgGpPrRsS"], // basic, bearer, BEGIN, birth, born, github_pat_
  ["dD", ".iIoO", "bBcCoO"], // dob, d.o.b., medical
  ["cCmM", "rR", "eEnN"], // secret, credential, mrn
  ["kKzZ", "aAeE", "nNtTyY"], // key, token, authorization
  ["pPsS", "wW", "dDoO"], // password, passwd, pwd
  ["pPsS", "hHsS", "nNrR"], // passphrase, ssn
  ["Ae", "KSy", "IJ"], // AKIA, ASIA, eyJ
  ["g", "h", "oprsu"], // ghp_
  ["x", "ao", "px"], // xapp-, xoxb-
  [letters, letters, "0123456789"], // IBAN
  ["!", any, any], // AnyValue.double_value
  ["\x18", high, high], // AnyValue.int_value
  ["\xef\x98\xa1", "\xbc\x00\x80", any], // full-width forms; tags of numbers longer than need be
];

function bytesFrom(first: number, last: number): string {
  return Buffer.from(Array.from({ length: last - first + 1 }, (_, at) => first + at)).toString(
    "latin1",
  );
}

const sieve = new Sieve(triples, numericBytes);

/** Adds the candidates of `bytes` to `found`. */
export function scan(bytes: Uint8Array, found: Finder): void {
  // Numbers up to here are done.
  let done = 0;
  sieve.pass(bytes, (hits, base) => {
    for (let hit = 0; hit < hits; hit++) {
      const block = base + sieve.hits[wordsPerHit * hit]!;
      const mask = sieve.hits[wordsPerHit * hit + 1]!;
      for (let rest = mask & 0xffff; rest !== 0; rest &= rest - 1) {
        const at = block + lowestBit(rest);
        const bits = look(bytes, at);
        if (bits !== 0) found.add(at, bits);
      }
      for (let rest = mask >>> 16; rest !== 0; rest &= rest - 1) {
        const at = block - (runBytesMin - 1) + lowestBit(rest);
        if (at >= done) done = scanNumbers(bytes, { start: done, at }, found);
      }
    }
  });
}

const lowestBit = (word: number): number => 31 - Math.clz32(word & -word);
