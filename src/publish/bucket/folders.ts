/** Folders that many writers ask for at once. */
import type { Files } from "../../ledger/files.ts";

export class Folders {
  readonly #files: Pick<Files, "makeDirectory">;
  #making: Promise<void> = Promise.resolve();

  constructor(files: Pick<Files, "makeDirectory">) {
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
}
