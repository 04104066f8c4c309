/** Changes of folders that many writers ask for at once. */
import type { Files } from "../../ledger/files.ts";

export class Folders {
  readonly #files: Pick<Files, "makeDirectory" | "syncDirectory">;
  #making: Promise<void> = Promise.resolve();
  /** By folder: the sync under way, and the one that will follow it. */
  readonly #running = new Map<string, Promise<void>>();
  readonly #next = new Map<string, Promise<void>>();

  constructor(files: Pick<Files, "makeDirectory" | "syncDirectory">) {
    this.#files = files;
  }

  /**
   * The folder and those above it are durable on return. One at a time: who finds a folder that
   * another has just made must not go on before its parent was synced.
   */
  make(folder: string, mode: number): Promise<void> {
    const made = this.#making.then(() => this.#files.makeDirectory(folder, mode));
    this.#making = made.catch(() => undefined);
    return made;
  }

  /** Names that were there before the call are durable on return; one sync serves all who wait. */
  sync(folder: string): Promise<void> {
    const waiting = this.#next.get(folder);
    if (waiting !== undefined) return waiting;
    const running = this.#running.get(folder);
    if (running === undefined) return this.#begin(folder);
    // The sync under way may have passed the newest names already.
    const next = running
      .catch(() => undefined)
      .then(() => {
        this.#next.delete(folder);
        return this.#begin(folder);
      });
    this.#next.set(folder, next);
    return next;
  }

  #begin(folder: string): Promise<void> {
    const sync = this.#files.syncDirectory(folder).finally(() => {
      if (this.#running.get(folder) === sync) this.#running.delete(folder);
    });
    this.#running.set(folder, sync);
    return sync;
  }
}
