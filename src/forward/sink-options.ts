/** Checks and completes what both transports are told. Nothing of the process's environment. */
import { createSecureContext, rootCertificates } from "node:tls";
import { reasonOf } from "../bytes/thrown.ts";
import { SIGNALS } from "../audit/otlp/schema.ts";
import type { Signal } from "../audit/otlp/schema.ts";
import type { Files } from "../ledger/files.ts";
import http from "../node-http.ts";
import { SinkOptionError } from "./forward-error.ts";
import type { SinkOptions, TlsOptions } from "./options.ts";

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

/** @throws SinkOptionError */
export async function planSink(options: SinkOptions, files: Files): Promise<SinkPlan> {
  const endpoints = options.endpoints ?? {};
  const base = options.endpoint;
  const signals = SIGNALS.filter((signal) => (endpoints[signal] ?? base) !== undefined);
  if (signals.length === 0) {
    throw new SinkOptionError(["endpoint"], "is missing", { remedy: "name the sink's address" });
  }
  const { timeoutMs } = options;
  if (!(timeoutMs > 0)) {
    const remedy = "write for example 30s";
    throw new SinkOptionError(["timeout"], `must be above 0, is ${timeoutMs} ms`, { remedy });
  }
  return {
    base,
    endpoints,
    signals,
    headers: checkHeaders(options.headers ?? {}),
    gzip: options.compression === "gzip",
    timeoutMs,
    tls: await readTls(options.tls ?? {}, files),
  };
}

/** @throws SinkOptionError where `text`, the value of `option`, is no http or https URL. */
export function parseSinkUrl(text: string, option: string): URL {
  const refused = (problem: string, remedy: string): SinkOptionError =>
    new SinkOptionError([option], problem, { remedy });
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol) || url.hostname === "") {
    const problem = "must begin with http:// or https:// and name a host";
    throw refused(problem, "write for example http://127.0.0.1:4318");
  }
  if (url.username !== "" || url.password !== "") {
    throw refused("must not hold a password", "use headers: { authorization: … }");
  }
  if (url.hash !== "") throw refused("must not have a fragment", "leave out # and what follows it");
  return url;
}

/** Set by the transport itself; a second value would break the request. */
const reserved = new Set([
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "expect",
  "host",
  "http2-settings",
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
      const remedy = "leave it out";
      throw new SinkOptionError(["headers", given], "is set by the exporter itself", { remedy });
    }
    try {
      http.validateHeaderName(name);
      http.validateHeaderValue(name, value);
    } catch (cause) {
      // The value may be a secret: only the name is shown.
      const remedy = "write name and value on one line, without control characters";
      throw new SinkOptionError(["headers", given], "is not a valid header", { remedy, cause });
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
      const problem = `names ${path}, which cannot be read (${reasonOf(cause)})`;
      const remedy = "name a PEM file that this user may read";
      throw new SinkOptionError(["tls", option], problem, { remedy, cause });
    }
  };
  const ca = await read("ca_file", tls.caFile);
  const cert = await read("cert_file", tls.certFile);
  const key = await read("key_file", tls.keyFile);
  if ((cert === undefined) !== (key === undefined)) {
    const remedy = "give both, or none";
    throw new SinkOptionError(["tls"], "has only one of cert_file and key_file", { remedy });
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
 * @throws SinkOptionError
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
    const remedy = "name PEM files, with a key that fits the certificate";
    const problem = `has files that cannot be used (${reasonOf(cause)})`;
    throw new SinkOptionError(["tls"], problem, { remedy, cause });
  }
}
