/**
 * The control socket of a running sidecar: commands that append to its ledger go through it,
 * because the sidecar holds the lock. One request is one line of JSON, one answer too. Whoever may
 * open the socket (mode 0600 in a folder of mode 0700) is the operator.
 */
import { chmodSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import type { JsonValue } from "../bytes/canonical-json.ts";
import * as limits from "../limits.ts";
import { ControlError, SidecarRefusal } from "./control-error.ts";
import { explainError } from "./failure.ts";
import type { Failure } from "./failure.ts";
import { controlSocketPath } from "./socket-path.ts";
import type { SocketPath } from "./socket-path.ts";

/** Commands by name. What they throw goes to the caller, as what it means to a person. */
export type ControlHandlers = ReadonlyMap<
  string,
  (argument: JsonValue) => Promise<JsonValue> | JsonValue
>;

export interface ControlSocket {
  close(): Promise<void>;
}

type Reply = { readonly result: JsonValue } | { readonly failure: Failure };

/**
 * Listens in `directory`, whose lock the caller holds: a socket that is there already was left by
 * a process that has ended.
 */
export async function openControlSocket(
  directory: string,
  handlers: ControlHandlers,
): Promise<ControlSocket> {
  const place = controlSocketPath(directory);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    void converse(socket, handlers);
  });
  server.maxConnections = limits.controlConnectionsMax;
  try {
    rmSync(place.path, { force: true });
    await listen(server, place.path);
    chmodSync(place.path, 0o600);
  } catch (error) {
    server.close();
    place.release();
    throw error;
  }
  return {
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
      rmSync(place.path, { force: true });
      place.release();
    },
  };
}

/**
 * Asks the sidecar that runs on `directory`.
 *
 * @throws ControlError `no_sidecar` where none listens there, SidecarRefusal with what the sidecar says
 */
export async function askSidecar(
  directory: string,
  command: string,
  argument: JsonValue = null,
): Promise<JsonValue> {
  const place = openPath(directory);
  try {
    const socket = await open(place.path);
    const text = await exchangeLine(socket, JSON.stringify({ command, argument }));
    const reply = JSON.parse(text) as Reply;
    if ("failure" in reply) throw new SidecarRefusal(reply.failure);
    return reply.result;
  } finally {
    place.release();
  }
}

function openPath(directory: string): SocketPath {
  try {
    return controlSocketPath(directory);
  } catch (error) {
    if (error instanceof ControlError) throw error;
    throw new ControlError("no_sidecar", `there is no ledger in ${directory}`, { cause: error });
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      // Later ones are of connections that could not be accepted: no reason to end.
      server.on("error", () => undefined);
      resolve();
    });
  });
}

function open(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket));
    socket.once("error", (error) => {
      const message = `no sidecar listens on ${path}: ${error.message}`;
      reject(new ControlError("no_sidecar", message, { cause: error }));
    });
  });
}

async function converse(socket: Socket, handlers: ControlHandlers): Promise<void> {
  try {
    const line = await readLine(socket);
    socket.end(`${JSON.stringify(await reply(line, handlers))}\n`);
  } catch {
    // The caller has gone or sends no line: there is nobody to answer.
    socket.destroy();
  }
}

async function reply(line: string, handlers: ControlHandlers): Promise<Reply> {
  try {
    const { command, argument = null } = JSON.parse(line) as Record<string, JsonValue>;
    const handler = typeof command === "string" ? handlers.get(command) : undefined;
    if (handler === undefined) throw new Error("this sidecar does not know the command");
    return { result: await handler(argument) };
  } catch (error) {
    return { failure: explainError(error) };
  }
}

function exchangeLine(socket: Socket, line: string): Promise<string> {
  const answer = readLine(socket);
  socket.write(`${line}\n`);
  return answer.finally(() => socket.destroy());
}

/** One line, bounded in bytes and time. */
function readLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const fail = (reason: string): void => {
      socket.destroy();
      reject(new ControlError("unanswered", `the control socket ${reason}`));
    };
    socket.setTimeout(limits.controlRequestMsMax, () => fail("was silent for too long"));
    socket.once("error", (error) => fail(`failed: ${error.message}`));
    socket.once("close", () => fail("was closed before an answer"));
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > limits.controlMessageBytesMax) return fail("received too much");
      if (chunk.includes(0x0a)) resolve(Buffer.concat(chunks).toString().split("\n", 1)[0] ?? "");
    });
  });
}
