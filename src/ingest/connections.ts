/**
 * The open connections of one receiver, the quietest first. When all places are taken, a new
 * connection gets that of the one that has been without a complete request for longest: those who
 * hold connections and say nothing cannot keep out those who do.
 */
import type { Socket } from "node:net";
import type { Sender } from "./turns.ts";

export class Connection implements Sender {
  served = 0;
  /** Requests whose body is complete and that are not answered. */
  working = 0;
  /** Of message bodies, also those of refused requests. */
  bodyBytes = 0;
  readonly socket: Socket;
  /** Its other end: what a socket and the TLS or HTTP/2 on it have in common. */
  readonly end: string;

  constructor(socket: Socket) {
    this.socket = socket;
    this.end = endOf(socket);
  }
}

export class Connections {
  /** Moved to the back when a request is complete, and when it is answered. */
  readonly #byEnd = new Map<string, Connection>();
  readonly most: number;

  constructor(most: number) {
    this.most = most;
  }

  /**
   * Takes a new connection and closes one, where that is one too many.
   *
   * @returns true where one was closed
   */
  open(socket: Socket): boolean {
    const connection = new Connection(socket);
    const { end } = connection;
    const isFull = this.#byEnd.size >= this.most;
    const quietest = isFull ? this.#quietest() : undefined;
    if (isFull && quietest === undefined) {
      socket.destroy();
      return true;
    }
    if (quietest !== undefined) this.#close(quietest);
    this.#byEnd.set(end, connection);
    socket.once("close", () => {
      if (this.#byEnd.get(end) === connection) this.#byEnd.delete(end);
    });
    return isFull;
  }

  /** The connection of a socket; one of its own where it is closed already. */
  of(socket: Socket): Connection {
    return this.#byEnd.get(endOf(socket)) ?? new Connection(socket);
  }

  /** A body is complete: the connection is not quiet. */
  begin(connection: Connection): void {
    connection.working++;
    this.#touch(connection);
  }

  /** Its request is answered. */
  end(connection: Connection): void {
    connection.working--;
    this.#touch(connection);
  }

  /** All sockets, also of those that have not got through their handshake. */
  *sockets(): Iterable<Socket> {
    for (const { socket } of this.#byEnd.values()) yield socket;
  }

  #touch(connection: Connection): void {
    const { end } = connection;
    if (this.#byEnd.get(end) !== connection) return;
    this.#byEnd.delete(end);
    this.#byEnd.set(end, connection);
  }

  #quietest(): Connection | undefined {
    for (const connection of this.#byEnd.values()) if (connection.working === 0) return connection;
    return undefined;
  }

  #close({ socket, end }: Connection): void {
    this.#byEnd.delete(end);
    socket.destroy();
  }
}

function endOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
