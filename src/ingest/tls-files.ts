/** Certificates of a receiver, from files that may be replaced while it runs. */
import { createSecureContext, type SecureContextOptions, type Server } from "node:tls";
import { reasonOf } from "../bytes/thrown.ts";
import { type Contents, type FileWatch, readAll, watchFiles, type WatchLog } from "./file-watch.ts";
import { ReceiverError } from "./receiver-error.ts";

export interface TlsFiles {
  /** PEM: the certificate and its chain, and its private key. */
  readonly certFile: string;
  readonly keyFile: string;
  /** PEM: with it every client must show a certificate that one of these authorities signed. */
  readonly clientCaFile?: string;
  /** How often the files are read again; 0 or absent: never. */
  readonly reloadIntervalMs?: number;
}

const FIXED: SecureContextOptions = { minVersion: "TLSv1.2" };

/** What `https` and `http2` servers are made of. */
interface TlsMaterial extends SecureContextOptions {
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
  readonly handshakeTimeout: number;
}

export interface LoadedTls {
  material(handshakeTimeMsMax: number): TlsMaterial;
  /** Keeps `server` on the newest certificates; open connections go on with theirs. */
  follow(server: Server, log: WatchLog): FileWatch;
}

/** @throws ReceiverError `bad_tls` */
export async function loadTls(files: TlsFiles): Promise<LoadedTls> {
  const paths = [files.certFile, files.keyFile];
  if (files.clientCaFile !== undefined) paths.push(files.clientCaFile);
  const named = paths.join(", ");
  let contents: Contents;
  let context: SecureContextOptions;
  try {
    contents = await readAll(paths);
    context = contextOf(contents);
  } catch (cause) {
    const message = `cannot use the TLS files ${named}: ${reasonOf(cause)}`;
    const remedy = "name PEM files that this user may read, with a key that fits the certificate";
    throw new ReceiverError("bad_tls", message, { remedy, cause });
  }
  const mutual = files.clientCaFile !== undefined;
  return {
    material: (handshakeTimeout) => ({
      ...context,
      requestCert: mutual,
      rejectUnauthorized: mutual,
      handshakeTimeout,
    }),
    follow(server, log) {
      const intervalMs = files.reloadIntervalMs ?? 0;
      if (intervalMs <= 0) return { close: () => undefined };
      const failed = (error: unknown): void =>
        log("error", `cannot use the new TLS files ${named}, the old ones stay in use`, error);
      return watchFiles(paths, intervalMs, contents, {
        change(next) {
          try {
            server.setSecureContext(contextOf(next));
            log("info", `read new TLS files ${named}`);
          } catch (error) {
            failed(error);
          }
        },
        error: failed,
      });
    },
  };
}

/** @throws where the parts do not fit together, so that half a replacement is never put to use. */
function contextOf([cert, key, ca]: Contents): SecureContextOptions {
  const context = { ...FIXED, cert: cert!, key: key!, ...(ca === undefined ? {} : { ca }) };
  createSecureContext(context);
  return context;
}
