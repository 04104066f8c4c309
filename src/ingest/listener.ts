/** Binding to an address, and what went wrong in words that help. */
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { isCode, reasonOf } from "../bytes/thrown.ts";
import { ReceiverError } from "./receiver-error.ts";
import type { Station, Transport } from "./exchange.ts";
import type { WatchLog } from "./file-watch.ts";
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
  const bound = await bind(server, addressOf(endpoint, transport));
  // A connection that could not be accepted (no memory, no descriptors) is no reason to end.
  server.on("error", (cause) => {
    station.log({ level: "error", message: "cannot accept a connection", transport, cause });
  });
  return bound;
}

/** An address to listen on, and the key of the configuration that names it. */
export interface Address {
  readonly host: string;
  readonly port: number;
  readonly option: string;
}

export function addressOf({ host, port }: Endpoint, transport: Transport): Address {
  return { host, port, option: `receivers.otlp.protocols.${transport}.endpoint` };
}

/**
 * Takes the addresses, all at once, and lets them go again: before anything is created that a start
 * would leave behind which then cannot listen.
 *
 * @throws as `listen`
 */
export async function tryAddresses(addresses: readonly Address[]): Promise<void> {
  const servers: Server[] = [];
  try {
    for (const address of addresses) {
      const server = createServer();
      await bind(server, address);
      servers.push(server);
    }
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

/** @throws as `listen` */
export async function bind(server: Server, wanted: Address): Promise<BoundAddress> {
  const { host, port } = wanted;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port }, () => {
        server.off("error", reject);
        resolve();
      });
    });
  } catch (error) {
    throw listenError(error, wanted);
  }
  const bound = server.address() as AddressInfo;
  return { address: bound.address, port: bound.port };
}

function listenError(cause: unknown, { host, port, option }: Address): ReceiverError {
  const message = `cannot listen on ${host}:${port}: ${reasonOf(cause)}`;
  if (isCode(cause, "EADDRINUSE")) {
    const remedy = `stop what listens there, or set ${option} to a free port`;
    return new ReceiverError("address_in_use", message, { remedy, cause });
  }
  const remedy = `set ${option} to an address and port of this host that this user may open`;
  return new ReceiverError("not_listening", message, { remedy, cause });
}

/** The address without the prefix of IPv4 in IPv6. */
export function peerAddress(address: string | undefined): string {
  return (address ?? "").replace(/^::ffff:(?=\d+\.)/, "");
}

/** Log lines of a file watch. */
export function watchLog(station: Pick<Station, "log" | "transport">): WatchLog {
  const { transport } = station;
  return (level, message, cause) => {
    station.log({ level, message, transport, ...(cause === undefined ? {} : { cause }) });
  };
}
