/** Habits of the house that no other tool checks: import direction, sizes, leftovers, side effects. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !path.includes("node_modules"));
}

const sourceFiles = sources("src");
const textOf = (path: string): string => readFileSync(join(root, path), "utf8");

function imports(path: string): string[] {
  return [...textOf(path).matchAll(/(?:from|import\() ?"([^"]+)"/g)].map((match) => match[1]!);
}

/** What every layer may import. */
const SHARED: readonly (string | undefined)[] = ["limits.ts", "node-http.ts"];

/** Each layer may import itself and what stands below it. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  bytes: [],
  audit: ["bytes"],
  ledger: ["audit", "bytes"],
  ingest: ["ledger", "audit", "bytes"],
  forward: ["ledger", "audit", "bytes"],
  publish: ["ledger", "audit", "bytes"],
  service: ["ingest", "forward", "publish", "ledger", "audit", "bytes"],
  cli: ["service", "ingest", "forward", "publish", "ledger", "audit", "bytes"],
};

test("imports point one way", () => {
  const wrong: string[] = [];
  for (const path of sourceFiles) {
    const layer = path.split("/")[1]!;
    const allowed = LAYERS[layer];
    if (allowed === undefined) continue;
    for (const target of imports(path).filter((name) => name.startsWith("."))) {
      const [, other] = normalize(join(dirname(path), target)).split("/");
      if (other === layer || SHARED.includes(other) || allowed.includes(other!)) continue;
      wrong.push(`${path} imports ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});

const PURE = [
  /^src\/bytes\//,
  /^src\/audit\//,
  /^src\/ledger\/(verify|merkle|note|tile|chain|proof)/,
];
const IO = /^(node:(fs|net|http|https|http2|tls|dgram|dns|child_process|worker_threads)|@grpc)/;

test("pure layers import no input or output", () => {
  const wrong = sourceFiles
    .filter((path) => PURE.some((pattern) => pattern.test(path)))
    .flatMap((path) =>
      imports(path)
        .filter((name) => IO.test(name))
        .map((name) => `${path}: ${name}`),
    );
  expect(wrong).toEqual([]);
});

test("bytes are parsed by the strict decoders only", () => {
  const wrong = sourceFiles.filter(
    (path) =>
      !path.startsWith("src/bytes/") &&
      /Buffer\.from\([^()]*, "(?:base64|hex|base64url)"\)/.test(textOf(path)),
  );
  expect(wrong).toEqual([]);
});

test("no file is over 400 lines", () => {
  const long = sourceFiles
    .map((path) => ({ path, lines: textOf(path).split("\n").length - 1 }))
    .filter(({ lines }) => lines > 400);
  expect(long).toEqual([]);
});

/** Lengths of all functions and methods, from how the formatter lays them out. */
function functionLengths(path: string): number[] {
  const lines = textOf(path).split("\n");
  const start =
    /^(\s*)(?:export )?(?:async )?(?:function\b|(?:(?:static|async|get|set|override) )*#?\w+\(|(?:const|readonly) #?\w+ = (?:async )?\()/;
  const statement = /^\s*(?:if|for|while|switch|return|catch|throw|await|super)\b/;
  return lines.flatMap((line, index) => {
    const indent = start.exec(line)?.[1];
    if (indent === undefined || statement.test(line)) return [];
    // A call or a declaration without a body is no function.
    const opened = lines.slice(index).find((other) => /[{;]$/.test(other));
    if (opened?.endsWith(";") ?? true) return [];
    const closing = [`${indent}}`, `${indent}};`];
    const more = lines.slice(index).findIndex((other) => closing.includes(other));
    return more > 0 ? [more + 1] : [];
  });
}

test("nine functions of ten have at most 35 lines", () => {
  const lengths = sourceFiles.flatMap(functionLengths).toSorted((left, right) => left - right);
  expect(lengths.length).toBeGreaterThan(1000);
  expect(lengths[Math.floor(lengths.length * 0.9)]).toBeLessThanOrEqual(35);
});

test("nothing is left over", () => {
  const leftover = /\b(?:TODO|FIXME|XXX|HACK)\b|\.(?:skip|todo|only)\(/;
  const own = relative(root, import.meta.filename);
  const found = [...sourceFiles, ...sources("test")].filter(
    (path) => path !== own && leftover.test(textOf(path)),
  );
  expect(found).toEqual([]);
});
