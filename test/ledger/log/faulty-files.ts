/** A file layer that fails where it is told to, with the real files behind it. */
import { stat, writeFile } from "node:fs/promises";

import { nodeFiles, type AppendFile, type Files } from "../../../src/ledger/files.ts";

export type FaultMode =
  /** The operation does nothing and fails. */
  | "failed"
  /** It happens, and fails all the same. */
  | "persisted"
  /** A write leaves its first half, then fails. */
  | "short"
  /** It happens never, nor does anything after it: the process is as good as killed. */
  | "stopped";

export interface Fault {
  readonly operation: number;
  readonly mode: FaultMode;
  readonly code: string;
  /** How many operations from that one on fail. */
  readonly count?: number;
}

/** As the kernel answers everybody but root, who may run the tests. */
async function denyReadOnly(path: string): Promise<void> {
  const mode = await stat(path).then(
    (found) => found.mode,
    () => 0o200,
  );
  if ((mode & 0o200) !== 0) return;
  const message = `EACCES: permission denied, open '${path}'`;
  throw Object.assign(new Error(message), { code: "EACCES", syscall: "open" });
}

export class FaultyFiles implements Files {
  /** Names of all operations that change the disk, in order. */
  readonly operations: string[] = [];
  fault: Fault | undefined;
  /** Operations that work in spite of `fault`. */
  exempt: RegExp | undefined;
  isStopped = false;
  /** Resolves when a fault of mode `stopped` is reached. */
  readonly stopped: Promise<void>;
  #stop: () => void = () => undefined;
  readonly #handles = new Set<AppendFile>();

  constructor() {
    this.stopped = new Promise((resolve) => {
      this.#stop = resolve;
    });
  }

  /** Closes what a stopped process would have left to the kernel. */
  async closeAll(): Promise<void> {
    for (const file of this.#handles) await file.close();
  }

  /** Fails the next operation that matches. */
  failNext(pattern: RegExp, code = "EIO"): void {
    this.#pattern = { pattern, code };
  }
  #pattern: { pattern: RegExp; code: string } | undefined;

  async #run<Result>(
    name: string,
    action: () => Promise<Result>,
    half: () => Promise<unknown> = () => Promise.resolve(),
  ): Promise<Result> {
    if (this.isStopped) return new Promise(() => undefined);
    const number = this.operations.push(name) - 1;
    const fault = this.#faultAt(number, name);
    if (fault === undefined) return action();
    if (fault.mode === "stopped") {
      this.isStopped = true;
      await half();
      this.#stop();
      return new Promise(() => undefined);
    }
    if (fault.mode === "persisted") await action();
    if (fault.mode === "short") await half();
    throw Object.assign(new Error(`${fault.code}: injected into ${name}`), {
      code: fault.code,
      syscall: name,
    });
  }

  #faultAt(number: number, name: string): Fault | undefined {
    if (this.#pattern?.pattern.test(name) === true) {
      const { code } = this.#pattern;
      this.#pattern = undefined;
      return { operation: number, mode: "failed", code };
    }
    const { fault } = this;
    if (fault === undefined || number < fault.operation) return undefined;
    if (this.exempt?.test(name) === true) return undefined;
    return number < fault.operation + (fault.count ?? 1) ? fault : undefined;
  }

  async openAppend(path: string, mode: number): Promise<AppendFile> {
    const file = await this.#run(`openAppend ${short(path)}`, async () => {
      await denyReadOnly(path);
      const opened = await nodeFiles.openAppend(path, mode);
      this.#handles.add(opened);
      return opened;
    });
    return {
      path,
      write: (bytes, position) =>
        this.#run(
          `write ${short(path)}`,
          () => file.write(bytes, position),
          () => file.write(bytes.subarray(0, bytes.length >> 1), position),
        ),
      sync: () => this.#run(`sync ${short(path)}`, () => file.sync()),
      truncate: (size) => this.#run(`truncate ${short(path)}`, () => file.truncate(size)),
      size: () => file.size(),
      close: () => {
        this.#handles.delete(file);
        return file.close();
      },
    };
  }

  read(path: string): Promise<Uint8Array> {
    return nodeFiles.read(path);
  }

  readRange(path: string, position: number, byteCount: number): Promise<Uint8Array> {
    return nodeFiles.readRange(path, position, byteCount);
  }

  size(path: string): Promise<number> {
    return nodeFiles.size(path);
  }

  list(directory: string): Promise<string[]> {
    return nodeFiles.list(directory);
  }

  makeDirectory(directory: string, mode: number): Promise<void> {
    return this.#run(`makeDirectory ${short(directory)}`, () =>
      nodeFiles.makeDirectory(directory, mode),
    );
  }

  syncDirectory(directory: string): Promise<void> {
    return this.#run(`syncDirectory ${short(directory)}`, () => nodeFiles.syncDirectory(directory));
  }

  createExclusive(path: string, bytes: Uint8Array, mode: number): Promise<void> {
    return this.#run(`createExclusive ${short(path)}`, () =>
      nodeFiles.createExclusive(path, bytes, mode),
    );
  }

  createInFolder(path: string, bytes: Uint8Array, mode: number): Promise<void> {
    return this.#run(
      `createInFolder ${short(path)}`,
      () => nodeFiles.createInFolder(path, bytes, mode),
      () => writeFile(path, bytes.subarray(0, bytes.length >> 1), { mode }),
    );
  }

  replace(path: string, bytes: Uint8Array, mode: number): Promise<void> {
    return this.#run(`replace ${short(path)}`, () => nodeFiles.replace(path, bytes, mode));
  }

  move(from: string, to: string): Promise<void> {
    return this.#run(`move ${short(from)}`, () => nodeFiles.move(from, to));
  }

  remove(path: string): Promise<void> {
    return this.#run(`remove ${short(path)}`, () => nodeFiles.remove(path));
  }

  setMode(path: string, mode: number): Promise<void> {
    return this.#run(`setMode ${short(path)}`, () => nodeFiles.setMode(path, mode));
  }
}

function short(path: string): string {
  return path.replace(/^.*\/ledger\//, "").replace(/^.*\/ledger$/, ".");
}
