/**
 * The HTTP/2 connection of one signal to a gRPC sink. It is made when a request needs it, and given
 * up as a whole where a request got no answer: the other end may be gone without a word, and then
 * only a new connection finds out.
 */
import { connect } from "node:http2";
import type { ClientHttp2Session, SecureClientSessionOptions } from "node:http2";
import { sinkIdleMsMax } from "../limits.ts";

export class GrpcConnection {
  readonly #origin: string;
  readonly #options: SecureClientSessionOptions;
  #session: ClientHttp2Session | undefined;

  /** @param origin `http://host:port` or `https://host:port` */
  constructor(origin: string, options: SecureClientSessionOptions) {
    this.#origin = origin;
    this.#options = { ...options, settings: { enablePush: false } };
  }

  /** What a request can be sent on. Rejects with the error of the network. */
  async open(abort: AbortSignal): Promise<ClientHttp2Session> {
    // Closed by the other end, or for being idle: what is under way on it may end.
    if (this.#session?.closed === false && !this.#session.destroyed) return this.#session;
    const session = connect(this.#origin, this.#options);
    this.#session = session;
    // Whoever waits for something hears of it there.
    session.on("error", () => undefined);
    session.setTimeout(sinkIdleMsMax, () => session.close());
    await connected(session, abort);
    return session;
  }

  /** Ends the connection at once, whatever is under way. */
  drop(): void {
    this.#session?.destroy();
    this.#session = undefined;
  }
}

function connected(session: ClientHttp2Session, abort: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      abort.removeEventListener("abort", onAbort);
      settle();
    };
    const onAbort = (): void => end(() => reject(new Error("aborted while connecting")));
    session.once("connect", () => end(resolve));
    session.once("error", (error) => end(() => reject(error)));
    session.once("close", () => end(() => reject(new Error("closed while connecting"))));
    if (abort.aborted) onAbort();
    else abort.addEventListener("abort", onAbort);
  });
}
