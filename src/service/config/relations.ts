/**
 * What must hold between keys. It reads the document, not the parsed configuration, so that these
 * problems appear together with those of single values.
 */
import { isAbsolute, relative, resolve, sep } from "node:path";
import type { Config } from "./model.ts";
import type { PlacedProblem } from "./problems.ts";
import { formatDuration, parseDuration } from "./values.ts";

type Group = Readonly<Record<string, unknown>>;

/** Problems between keys of `document`; what is no group of keys is left to the schema. */
export function checkRelations(document: unknown): PlacedProblem[] {
  return [
    ...checkProtocols(document),
    ...checkPaths(document),
    ...checkSinks(document),
    ...checkSinkTls(document),
    ...checkMaxLag(document),
    ...checkAddresses(document),
    ...checkRules(document),
  ];
}

function checkProtocols(document: unknown): PlacedProblem[] {
  const path = ["receivers", "otlp", "protocols"];
  const protocols = groupAt(document, path);
  if (protocols === undefined || Object.keys(protocols).length > 0) return [];
  return [{ path, message: "no protocol is named", hint: "write grpc: or http:, or leave it out" }];
}

/** A path that two signals share would take the one for the other. */
function checkPaths(document: unknown): PlacedProblem[] {
  const path = ["receivers", "otlp", "protocols", "http"];
  const http = groupAt(document, path);
  const signalOf = new Map<string, string>();
  return ["traces", "logs", "metrics"].flatMap((signal) => {
    const key = `${signal}_url_path`;
    const given = http?.[key] ?? `/v1/${signal}`;
    if (typeof given !== "string") return [];
    // As the receiver compares them.
    const compared = given.replace(/(?<=.)\/$/, "");
    const other = signalOf.get(compared);
    signalOf.set(compared, signal);
    if (other === undefined) return [];
    const message = `${given} is the path of ${other}`;
    return [{ path: [...path, key], message, hint: "give each signal its own path" }];
  });
}

function checkSinks(document: unknown): PlacedProblem[] {
  const exporters = groupAt(document, ["exporters"]);
  const problems: PlacedProblem[] = [];
  if (exporters?.["otlp_http"] !== undefined && exporters["otlp_grpc"] !== undefined) {
    const message = "two sinks are named, otlp_http and otlp_grpc";
    problems.push({ path: ["exporters"], message, hint: "keep one of them" });
  }
  const http = groupAt(document, ["exporters", "otlp_http"]);
  const endpoints = ["endpoint", "traces_endpoint", "logs_endpoint", "metrics_endpoint"];
  if (http !== undefined && endpoints.every((key) => http[key] === undefined)) {
    const hint = "write for example endpoint: http://127.0.0.1:4320";
    problems.push({ path: ["exporters", "otlp_http", "endpoint"], message: "missing", hint });
  }
  return problems;
}

function checkSinkTls(document: unknown): PlacedProblem[] {
  return ["otlp_http", "otlp_grpc"].flatMap((sink) => {
    const path = ["exporters", sink, "tls"];
    const tls = groupAt(document, path);
    if ((tls?.["cert_file"] === undefined) === (tls?.["key_file"] === undefined)) return [];
    const hint = "give both, or none";
    return [{ path, message: "cert_file and key_file belong together", hint }];
  });
}

function checkMaxLag(document: unknown): PlacedProblem[] {
  const publish = groupAt(document, ["publish"]);
  const maxLag = durationOf(publish?.["max_lag"]);
  const interval = durationOf(publish?.["interval"] ?? "10m");
  if (maxLag === undefined || interval === undefined || maxLag > interval) return [];
  const message = `not above publish.interval, which is ${formatDuration(interval)}`;
  const hint = "make max_lag longer than the interval, or every pause would refuse ingestion";
  return [{ path: ["publish", "max_lag"], message, hint }];
}

const addresses: readonly { readonly path: readonly string[]; readonly preset: string }[] = [
  { path: ["receivers", "otlp", "protocols", "grpc", "endpoint"], preset: "127.0.0.1:4317" },
  { path: ["receivers", "otlp", "protocols", "http", "endpoint"], preset: "127.0.0.1:4318" },
  { path: ["operations", "endpoint"], preset: "127.0.0.1:4319" },
];

function checkAddresses(document: unknown): PlacedProblem[] {
  const seen = new Map<string, string>();
  const protocols = groupAt(document, ["receivers", "otlp", "protocols"]);
  return addresses.flatMap(({ path, preset }) => {
    const opened =
      path[0] !== "receivers" || protocols === undefined || String(path[3]) in protocols;
    const address = groupAt(document, path.slice(0, -1))?.["endpoint"] ?? preset;
    if (!opened || typeof address !== "string" || address.endsWith(":0")) return [];
    const other = seen.get(address);
    seen.set(address, path.join("."));
    if (other === undefined) return [];
    const message = `${address} is taken by ${other}`;
    return [{ path, message, hint: "give each its own port" }];
  });
}

/** Folders that must not lie in one another: what would be published, or lost, with the other. */
const apart: readonly (readonly [inner: FolderKey, outer: FolderKey, harm: string])[] = [
  ["keys.directory", "publish.bucket", "whoever reads the bucket would have the keys"],
  ["keys.directory", "ledger.directory", "a copy of the ledger would hold its keys"],
  ["ledger.directory", "publish.bucket", "whoever reads the bucket would have the records"],
  ["publish.bucket", "ledger.directory", "the roots would be lost with the ledger"],
];

type FolderKey = "keys.directory" | "ledger.directory" | "publish.bucket";

/** Problems between the folders that a configuration comes to, options of the command included. */
export function checkFolders({ keys, ledger, publish }: Config): PlacedProblem[] {
  const folders: Readonly<Record<FolderKey, string>> = {
    "keys.directory": keys.directory,
    "ledger.directory": ledger.directory,
    "publish.bucket": publish.bucket,
  };
  return apart.flatMap(([inner, outer, harm]) => {
    if (pathInside(folders[outer], folders[inner]) === undefined) return [];
    const message = `${folders[inner]} lies in ${outer}, ${folders[outer]}: ${harm}`;
    return [{ path: inner.split("."), message, hint: "choose a folder of its own" }];
  });
}

/** The way from `folder` down to `path`; undefined where that lies elsewhere. */
export function pathInside(folder: string, path: string): string | undefined {
  const way = relative(resolve(folder), resolve(path));
  const isOutside = way === ".." || way.startsWith(`..${sep}`) || isAbsolute(way);
  return isOutside ? undefined : way;
}

function checkRules(document: unknown): PlacedProblem[] {
  const rules = groupAt(document, ["redaction"])?.["rules"];
  if (!Array.isArray(rules)) return [];
  const seen = new Set<unknown>();
  return rules.flatMap((rule: unknown, index) => {
    const id = (rule as Group | undefined)?.["id"];
    const repeated = id !== undefined && seen.has(id);
    seen.add(id);
    if (!repeated) return [];
    const path = ["redaction", "rules", index, "id"];
    return [{ path, message: "this id is used twice", hint: "give every rule its own id" }];
  });
}

function durationOf(value: unknown): number | undefined {
  return typeof value === "string" ? parseDuration(value) : undefined;
}

function groupAt(document: unknown, path: readonly string[]): Group | undefined {
  let at: unknown = document;
  for (const key of path) {
    if (typeof at !== "object" || at === null || Array.isArray(at)) return undefined;
    at = (at as Group)[key];
  }
  return typeof at === "object" && at !== null && !Array.isArray(at) ? (at as Group) : undefined;
}
