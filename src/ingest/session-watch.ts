/**
 * Ends connections of HTTP/2 that send much and say nothing. Frames without a body (pings,
 * settings, resets, priorities, continuations, empty data) are counted by node:http2 and nghttp2,
 * which end the connection; updates of windows and whatever else costs little are counted here, by
 * what all floods have in common: bytes that are no message.
 */
import { constants, type ServerHttp2Session } from "node:http2";
import { emptyBytesPerSecondMax } from "../limits.ts";
import type { Connection } from "./connections.ts";

const intervalMs = 1_000;

interface Watched {
  readonly connection: Connection;
}

/** @returns ends the watch. */
export function watchSessions(
  sessions: ReadonlyMap<ServerHttp2Session, Watched>,
  onFlood: () => void,
): () => void {
  const before = new WeakMap<ServerHttp2Session, number>();
  const timer = setInterval(() => {
    for (const [session, { connection }] of sessions) {
      const empty = connection.socket.bytesRead - connection.bodyBytes;
      const grown = empty - (before.get(session) ?? 0);
      before.set(session, empty);
      if (grown <= emptyBytesPerSecondMax) continue;
      onFlood();
      session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      session.destroy();
    }
  }, intervalMs).unref();
  return () => clearInterval(timer);
}
