/**
 * Where log lines go: a descriptor, written in the background. Lines that cannot be written, as to a
 * full disk, or that wait for a reader which stands still, are lost and counted: the log never holds
 * up, and never ends, what it tells of.
 */
import { write as writeTo } from "node:fs";
import { logFlushMsMax, logQueueBytesMax } from "../limits.ts";
import { writeAll } from "./write-all.ts";

const retryMs = 50;
const nothing = Buffer.alloc(0);

export type WriteDone = (error: NodeJS.ErrnoException | null, count: number) => void;
type Write = (descriptor: number, bytes: Buffer, done: WriteDone) => void;

export class LogDestination {
  readonly #descriptor: number;
  readonly #onLost: (lines: number) => void;
  readonly #write: Write;
  /** Lines that wait, oldest first. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** What is still to be written of the lines before them. */
  #rest: Buffer = nothing;
  #restLines = 0;
  /** Since when a thread has been writing it. */
  #writingSinceMs: number | undefined;
  #isBusy = false;
  /** The last line that was written breaks off. */
  #isTorn = false;
  #lost = 0;

  /** @param onLost told how many lines were lost, once lines can be written again */
  constructor(descriptor: number, onLost: (lines: number) => void, write: Write = writeTo) {
    this.#descriptor = descriptor;
    this.#write = write;
    this.#onLost = onLost;
  }

  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#waitingBytes + bytes.length > logQueueBytesMax) {
      this.#lost++;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#isBusy) return;
    this.#isBusy = true;
    // Not at once: who ends the process right after this line writes it by `flush`.
    setImmediate(() => this.#writeNext());
  }

  /** Writes what waits before the process ends, unless the reader stands still. */
  flush(): void {
    const isWriting = this.#writingSinceMs !== undefined;
    if (isWriting && performance.now() - this.#writingSinceMs! > logFlushMsMax) return;
    const own = isWriting ? nothing : this.#rest;
    if (!isWriting) this.#rest = nothing;
    const bytes = Buffer.concat([own, ...this.#waiting]);
    this.#waiting = [];
    this.#waitingBytes = 0;
    try {
      writeAll(this.#descriptor, bytes, logFlushMsMax);
    } catch {
      // There is nobody to tell.
    }
  }

  #writeNext(): void {
    if (this.#rest.length === 0) this.#take();
    this.#isBusy = this.#rest.length > 0;
    if (!this.#isBusy) return;
    this.#writingSinceMs = performance.now();
    this.#write(this.#descriptor, this.#rest, (error, count) => {
      this.#writingSinceMs = undefined;
      if (error?.code === "EAGAIN") {
        setTimeout(() => this.#writeNext(), retryMs).unref();
        return;
      }
      if (error === null) this.#wrote(count);
      else this.#lose();
      this.#writeNext();
    });
  }

  #take(): void {
    const begin = this.#isTorn ? [Buffer.from("\n")] : [];
    this.#rest = this.#waiting.length === 0 ? nothing : Buffer.concat([...begin, ...this.#waiting]);
    this.#restLines = this.#waiting.length;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #wrote(count: number): void {
    this.#rest = this.#rest.subarray(count);
    this.#isTorn = this.#rest.length > 0;
    if (this.#isTorn || this.#lost === 0) return;
    const lost = this.#lost;
    this.#lost = 0;
    this.#onLost(lost);
  }

  #lose(): void {
    this.#lost += this.#restLines;
    this.#rest = nothing;
  }
}
