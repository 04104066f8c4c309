/** What an earlier configuration left to be sent to a sink that this one does not name. */
import { resolve } from "node:path";
import type { Signal } from "../audit/otlp/schema.ts";
import { reasonOf } from "../bytes/thrown.ts";
import type { Files } from "../ledger/files.ts";
import { loadSpool } from "./spool-load.ts";

export interface UnsentSpool {
  readonly signal: Signal;
  /** Requests and their bytes; 0 where they cannot be read. */
  readonly requests: number;
  readonly bytes: number;
  /** What is the matter, and what to do. */
  readonly message: string;
}

/** Reads the spool of a signal that has no sink; undefined where nothing waits in it. */
export async function readUnsent(
  signal: Signal,
  spools: { readonly directory: string; readonly files: Files },
): Promise<UnsentSpool | undefined> {
  const directory = resolve(spools.directory, signal);
  const tell = (requests: number, bytes: number, what: string): UnsentSpool => ({
    signal,
    requests,
    bytes,
    message:
      `no sink is configured for ${signal}, but the spool ${directory} ${what}: ` +
      "configure one again, or move the folder aside to give up what it holds",
  });
  try {
    const { next, cursor, queueBytes } = await loadSpool(spools.files, directory);
    const requests = next - cursor.next;
    if (requests === 0) return undefined;
    return tell(requests, queueBytes, `holds unsent requests (${requests})`);
  } catch (error) {
    // What is not sent anyway is no reason not to start.
    return tell(0, 0, `cannot be read (${reasonOf(error)})`);
  }
}
