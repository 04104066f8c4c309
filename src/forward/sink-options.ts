/** Checks and completes what both transports are told. Nothing of the process's environment. */
import { validateHeaderName, validateHeaderValue } from "node:http";
import { createSecureContext, rootCertificates } from "node:tls";
import { SIGNALS } from "../audit/otlp/schema.ts";
import type { Signal } from "../audit/otlp/schema.ts";
import type { Files } from "../ledger/files.ts";
import { ForwardError } from "./forward-error.ts";
import type { SinkOptions, TlsOptions } from "./options.ts";

const defaultTimeoutMs = 30_000;

/** Options that were checked, with files read. */
export interface SinkPlan {
  /** Endpoints as they were given. */
  readonly base: string | undefined;
  readonly endpoints: Readonly<Partial<Record<Signal, string>>>;
  readonly signals: readonly Signal[];
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly gzip: boolean;
  readonly timeoutMs: number;
  readonly tls: TlsMaterial;
}

export interface TlsMaterial {
  /** Always set: the roots that come with Node where no file is named. */
  readonly ca: Buffer;
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  readonly insecure: boolean;
  readonly verify: boolean;
  readonly serverName: string | undefined;
}

/** @throws ForwardError `bad_option` naming the option and what to do. */
export async function planSink(options: SinkOptions, files: Files): Promise<SinkPlan> {
  const endpoints = options.endpoints ?? {};
  const base = options.endpoint;
  const signals = SIGNALS.filter((signal) => (endpoints[signal] ?? base) !== undefined);
  if (signals.length === 0) throw badOption("endpoint", "is missing; name the sink's address");
  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  if (!(timeoutMs > 0)) throw badOption("timeout", `must be above 0, is ${timeoutMs} ms`);
  return {
    base,
    endpoints,
    signals,
    headers: checkHeaders(options.headers ?? {}),
    gzip: (options.compression ?? "gzip") === "gzip",
    timeoutMs,
    tls: await readTls(options.tls ?? {}, files),
  };
}

export function badOption(option: string, problem: string, cause?: unknown): ForwardError {
  return new ForwardError("bad_option", `exporter option ${option} ${problem}`, { cause });
}

/** @throws ForwardError `bad_option` where `text` is no http or https URL. */
export function parseEndpoint(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol) || url.hostname === "") {
    throw badOption("endpoint", `must begin with http:// or https:// and name a host`);
  }
  if (url.username !== "" || url.password !== "") {
    throw badOption("endpoint", "must not hold a password; use headers: { authorization: … }");
  }
  if (url.hash !== "") throw badOption("endpoint", "must not have a fragment (#…)");
  return url;
}

/** Set by the transport itself; a second value would break the request. */
const reserved = new Set([
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

function checkHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const checked: Record<string, string> = {};
  for (const [given, value] of Object.entries(headers)) {
    const name = given.toLowerCase();
    if (reserved.has(name) || name.startsWith("grpc-")) {
      throw badOption(`headers.${given}`, "is set by the exporter itself; leave it out");
    }
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch (cause) {
      // The value may be a secret: only the name is shown.
      throw badOption(`headers.${JSON.stringify(given)}`, "is not a valid header", cause);
    }
    checked[name] = value;
  }
  return checked;
}

async function readTls(tls: TlsOptions, files: Files): Promise<TlsMaterial> {
  const read = async (option: string, path: string | undefined): Promise<Buffer | undefined> => {
    if (path === undefined) return undefined;
    try {
      return Buffer.from(await files.read(path));
    } catch (cause) {
      throw badOption(`tls.${option}`, `names ${path}, which cannot be read`, cause);
    }
  };
  const ca = await read("ca_file", tls.caFile);
  const cert = await read("cert_file", tls.certFile);
  const key = await read("key_file", tls.keyFile);
  if ((cert === undefined) !== (key === undefined)) {
    throw badOption("tls", "has only one of cert_file and key_file; both or none are needed");
  }
  return {
    ca: ca ?? Buffer.from(rootCertificates.join("\n")),
    cert,
    key,
    insecure: tls.insecure ?? false,
    verify: !(tls.insecureSkipVerify ?? false),
    serverName: tls.serverNameOverride,
  };
}

/**
 * What a connection is made with. The files were read and are parsed here, so that a bad one is
 * found when the sink is opened.
 *
 * @throws ForwardError `bad_option`
 */
export function connectOptions({ ca, cert, key, verify, serverName }: TlsMaterial): object {
  try {
    return {
      secureContext: createSecureContext({
        ca,
        ...(cert !== undefined && key !== undefined && { cert, key }),
      }),
      // Explicit, because NODE_TLS_REJECT_UNAUTHORIZED would speak otherwise.
      rejectUnauthorized: verify,
      ...(serverName !== undefined && { servername: serverName }),
    };
  } catch (cause) {
    throw badOption("tls", "has files that are not PEM, or key and certificate differ", cause);
  }
}
