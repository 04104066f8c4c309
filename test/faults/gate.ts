/**
 * What lies between the sidecar and its sink: a TCP proxy that passes everything on, or does what
 * networks, load balancers and strangers on a port do. The same for every protocol.
 */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished } from "vitest";

export type Fault =
  /** Nobody listens. */
  | "closed"
  /** Accepts and resets at once. */
  | "reset"
  /** Accepts and never reads, so that the window fills. */
  | "unread"
  /** Reads and never answers. */
  | "mute"
  /** Resets in the middle of the request. */
  | "cut request"
  /** Passes the request on, and resets instead of the answer. */
  | "cut answer"
  /** Passes the request on, and closes only its own direction instead of the answer. */
  | "half-close"
  /** Connections that are open already are closed as soon as the next request comes on them. */
  | "stale"
  /** Passes answers on, one byte at a time. */
  | "drip"
  /** Answers with these bytes whatever comes, one each time, and then ends, or never does. */
  | { readonly answers: readonly Uint8Array[]; readonly endless?: Uint8Array };

export interface GateOptions {
  readonly port: number;
  /** Requests that the sink behind it took, to know when an answer is on its way. */
  readonly taken: () => number;
}

const cutAfterBytes = 1500;
const dripMs = 100;

export class Gate {
  readonly port: number;
  readonly #options: GateOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #fault: Fault | undefined;
  #takenBefore = 0;

  private constructor(options: GateOptions, server: Server) {
    this.#options = options;
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (socket) => this.#connected(socket));
  }

  /** Closed with the test at last. */
  static async open(options: GateOptions): Promise<Gate> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const gate = new Gate(options, server);
    onTestFinished(() => gate.close());
    return gate;
  }

  /** From now on; open connections are ended, but for the one fault that is about them. */
  async break(fault: Fault): Promise<void> {
    this.#fault = fault;
    this.#takenBefore = this.#options.taken();
    if (fault !== "stale") this.#drop();
    if (fault !== "closed") return;
    this.#server.close();
    await once(this.#server, "close");
  }

  /**
   * Passes everything on again. Connections made meanwhile stay as they are, as those to a machine
   * that went away without a word do.
   */
  async mend(): Promise<void> {
    const wasClosed = this.#fault === "closed";
    this.#fault = undefined;
    if (!wasClosed) return;
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  close(): void {
    this.#drop();
    this.#server.close();
  }

  #drop(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  #track(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    return socket.once("close", () => this.#sockets.delete(socket));
  }

  #connected(client: Socket): void {
    this.#track(client);
    const fault = this.#fault;
    if (fault === "reset") return void client.resetAndDestroy();
    if (fault === "unread") return;
    client.resume();
    if (fault === "mute") return;
    if (typeof fault === "object") return this.#answer(client, fault);
    this.#join(client, fault);
  }

  #answer(client: Socket, { answers, endless }: Exclude<Fault, string>): void {
    const left = [...answers];
    const goOn = (): void => {
      while (!client.destroyed && client.write(endless!));
    };
    client.on("data", () => {
      const answer = left.shift();
      if (answer !== undefined) client.write(answer);
      if (left.length > 0) return;
      if (endless === undefined) client.end();
      else goOn();
    });
    if (endless !== undefined) client.on("drain", () => left.length === 0 && goOn());
  }

  #join(client: Socket, fault: Fault | undefined): void {
    const sink = this.#track(connect(this.#options.port, "127.0.0.1"));
    const cut = (): void => {
      client.resetAndDestroy();
      sink.destroy();
    };
    let received = 0;
    client.on("data", (chunk: Buffer) => {
      received += chunk.length;
      if (this.#fault === "stale" && fault !== "stale") return cut();
      if (fault === "cut request" && received > cutAfterBytes) return cut();
      sink.write(chunk);
    });
    client.on("end", () => sink.end()).on("close", () => sink.destroy());
    const pass = fault === "drip" ? dripTo(client) : (chunk: Buffer) => void client.write(chunk);
    sink.on("data", (chunk: Buffer) => {
      const isAnswer = this.#options.taken() > this.#takenBefore;
      if (fault === "cut answer" && isAnswer) return cut();
      if (fault === "half-close" && isAnswer) return void client.end();
      pass(chunk);
    });
    sink.on("close", () => client.end());
  }
}

function dripTo(client: Socket): (chunk: Buffer) => void {
  let last = Promise.resolve();
  const drip = async (chunk: Buffer): Promise<void> => {
    for (const byte of chunk) {
      if (client.destroyed) return;
      client.write(Buffer.from([byte]));
      await sleep(dripMs);
    }
  };
  return (chunk) => {
    last = last.then(() => drip(chunk));
  };
}
