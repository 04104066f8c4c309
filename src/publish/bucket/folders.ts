/** Folders of a bucket, which many writers ask for at once. */
import { dirname } from "node:path";
import { isCode } from "../../bytes/thrown.ts";
import type { Files } from "../../ledger/files.ts";

export class Folders {
  readonly #files: Pick<Files, "makeDirectory">;
  readonly #mode: number;
  /** Durable, with those above them, as far as this process knows. */
  readonly #made = new Set<string>();
  #making: Promise<void> = Promise.resolve();

  constructor(files: Pick<Files, "makeDirectory">, mode: number) {
    this.#files = files;
    this.#mode = mode;
  }

  /**
   * Runs `create`, which creates a file of that path, in a folder that is durable. A folder that is
   * there already is made so once: an earlier attempt may have left it without its parent's sync.
   * One that went away, as with a disk that was mounted anew, is made again.
   */
  async creating<Result>(path: string, create: () => Promise<Result>): Promise<Result> {
    const folder = dirname(path);
    await this.#make(folder);
    try {
      return await create();
    } catch (error) {
      if (!isCode(error, "ENOENT")) throw error;
      this.#made.clear();
      await this.#make(folder);
      return create();
    }
  }

  /** One at a time: who finds a folder that another has just made must wait for its sync. */
  #make(folder: string): Promise<void> {
    if (this.#made.has(folder)) return Promise.resolve();
    const made = this.#making.then(async () => {
      if (this.#made.has(folder)) return;
      await this.#files.makeDirectory(folder, this.#mode);
      this.#made.add(folder);
    });
    this.#making = made.catch(() => undefined);
    return made;
  }
}
