/** Binding to an address, and what went wrong in words that help. */
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { ReceiverError } from "./receiver-error.ts";
import type { Station, Transport } from "./exchange.ts";
import type { TlsFiles } from "./tls-files.ts";

export interface Endpoint {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly tls?: TlsFiles;
  /** Senders must show a token of this file. */
  readonly auth?: { readonly bearerTokenFile: string };
  /** Largest message, before and after inflation. */
  readonly requestBytesMax?: number;
}

export interface BoundAddress {
  readonly address: string;
  readonly port: number;
}

export type WatchLog = (message: string, cause?: unknown) => void;

export interface Receiver {
  readonly bound: BoundAddress;
  /** Refuses new requests, lets those in flight finish for `graceMs`, then closes all connections. */
  close(graceMs: number): Promise<void>;
}

/** @throws ReceiverError `address_in_use`, `not_listening` */
export async function listen(
  server: Server,
  endpoint: Endpoint,
  station: Pick<Station, "connections" | "log" | "onClosed" | "transport">,
): Promise<BoundAddress> {
  const { connections, transport } = station;
  // Before the server's own listener, which makes a session of it.
  server.prependListener("connection", (socket: Socket) => {
    if (!connections.open(socket)) return;
    const message = `closed the quietest connection: ${connections.most} are open, which is the most`;
    station.log({ level: "warn", message, transport });
    station.onClosed("place");
  });
  await bind(server, endpoint, transport);
  // A connection that could not be accepted (no memory, no descriptors) is no reason to end.
  server.on("error", (cause) => {
    station.log({ level: "error", message: "cannot accept a connection", transport, cause });
  });
  const { address, port: boundPort } = server.address() as AddressInfo;
  return { address, port: boundPort };
}

/**
 * Takes the address and lets it go again: before anything is created that a start would leave behind
 * which then cannot listen.
 *
 * @throws as `listen`
 */
export async function tryAddress(endpoint: Endpoint, transport: Transport): Promise<void> {
  const server = createServer();
  await bind(server, endpoint, transport);
  await new Promise((resolve) => server.close(resolve));
}

async function bind(server: Server, endpoint: Endpoint, transport: Transport): Promise<void> {
  const { host, port } = endpoint;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port }, () => {
        server.off("error", reject);
        resolve();
      });
    });
  } catch (error) {
    throw listenError(error, endpoint, transport);
  }
}

function listenError(error: unknown, endpoint: Endpoint, transport: Transport): ReceiverError {
  const place = `${endpoint.host}:${endpoint.port}`;
  const option = `receivers.otlp.protocols.${transport}.endpoint`;
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
  if (code === "EADDRINUSE") {
    const message = `cannot listen on ${place}: another process does (${code}); stop it, or set ${option} to a free port`;
    return new ReceiverError("address_in_use", message, error);
  }
  const message = `cannot listen on ${place} (${code}); set ${option} to an address and port of this host that this user may open`;
  return new ReceiverError("not_listening", message, error);
}

/** The address without the prefix of IPv4 in IPv6. */
export function peerAddress(address: string | undefined): string {
  return (address ?? "").replace(/^::ffff:(?=\d+\.)/, "");
}

/** Log lines of a file watch. */
export function watchLog(station: Pick<Station, "log" | "transport">): WatchLog {
  return (message, cause) => {
    const { transport } = station;
    if (cause === undefined) station.log({ level: "info", message, transport });
    else station.log({ level: "error", message, transport, cause });
  };
}
