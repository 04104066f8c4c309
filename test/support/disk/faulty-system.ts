/** System calls that fail where they are told to, with a real or a simulated disk behind them. */
import type {
  FileLock,
  FileStatus,
  FileSystem,
  OpenFile,
  OpenFlags,
} from "../../../src/ledger/file-system.ts";

export type FaultMode =
  /** The call does nothing and fails. */
  | "failed"
  /** It happens, and fails all the same. */
  | "persisted"
  /** A write leaves its first half and says so; the next call fails. */
  | "short"
  /** A write leaves its first half and says so; the next one goes on. */
  | "partial"
  /** It does not happen, nor does anything after it, as in a killed process. A write leaves half. */
  | "killed";

export interface Fault {
  readonly operation: number;
  readonly mode: FaultMode;
  readonly code?: string;
  /** How many calls from that one on fail. */
  readonly count?: number;
}

/** One call that changes the disk, or that makes a change durable. */
export interface SystemCall {
  readonly name: string;
  readonly path: string;
}

export class FaultySystem implements FileSystem {
  readonly #base: FileSystem;
  /** All calls that change the disk, in order. */
  readonly calls: SystemCall[] = [];
  fault: Fault | undefined;
  /** Calls that work in spite of `fault`, as `name path`. */
  exempt: RegExp | undefined;
  /** The call that the fault met. */
  met: SystemCall | undefined;
  isKilled = false;
  /** Called when the process is as good as killed. */
  onKill: () => void = () => undefined;
  /** Called after each call that changed the disk. */
  onChange: (call: SystemCall) => void = () => undefined;
  #pattern: { readonly pattern: RegExp; readonly code: string } | undefined;
  readonly #open = new Set<OpenFile>();

  constructor(base: FileSystem, fault?: Fault) {
    this.#base = base;
    this.fault = fault;
  }

  /** As `name path`, with the path from the ledger's folder on. */
  get operations(): string[] {
    return this.calls.map(({ name, path }) => `${name} ${shortPath(path)}`);
  }

  /** Fails the next call that matches, as `name path`. */
  failNext(pattern: RegExp, code = "EIO"): void {
    this.#pattern = { pattern, code };
  }

  /** Closes what a killed process would have left to the kernel. */
  async closeAll(): Promise<void> {
    for (const file of this.#open) await file.close();
    this.#open.clear();
  }

  async #run<Result>(
    call: SystemCall,
    action: () => Promise<Result>,
    half: () => Promise<Result> = () => Promise.reject(errorOf("EIO", call)),
  ): Promise<Result> {
    this.#refuseIfKilled(call);
    const number = this.calls.push(call) - 1;
    const fault = this.#faultAt(number, call);
    if (fault === undefined) return this.#changed(call, await action());
    this.met ??= call;
    const isWrite = call.name === "write";
    if (fault.mode === "killed") {
      this.isKilled = true;
      if (isWrite) await half();
      this.onKill();
      throw errorOf("EIO", call);
    }
    if (fault.mode === "partial") return isWrite ? half() : this.#changed(call, await action());
    if (fault.mode === "short" && isWrite) {
      this.fault = { ...fault, operation: number + 1, mode: "failed" };
      return half();
    }
    if (fault.mode === "persisted") await discard(await action());
    throw errorOf(fault.code ?? "EIO", call);
  }

  #changed<Result>(call: SystemCall, result: Result): Result {
    this.onChange(call);
    return result;
  }

  #refuseIfKilled(call: SystemCall): void {
    if (this.isKilled) throw errorOf("EIO", call);
  }

  #faultAt(number: number, { name, path }: SystemCall): Fault | undefined {
    const text = `${name} ${shortPath(path)}`;
    if (this.#pattern?.pattern.test(text) === true) {
      const { code } = this.#pattern;
      this.#pattern = undefined;
      return { operation: number, mode: "failed", code };
    }
    const { fault } = this;
    if (fault === undefined || number < fault.operation) return undefined;
    if (this.exempt?.test(text) === true) return undefined;
    return number < fault.operation + (fault.count ?? 1) ? fault : undefined;
  }

  async open(path: string, flags: OpenFlags, mode?: number): Promise<OpenFile> {
    const call = { name: flags.startsWith("r+") ? "open" : "create", path };
    const open = (): Promise<OpenFile> => this.#base.open(path, flags, mode);
    if (flags === "r") this.#refuseIfKilled(call);
    const file = flags === "r" ? await open() : await this.#run(call, open);
    this.#open.add(file);
    return this.#wrap(path, file, flags !== "r");
  }

  #wrap(path: string, file: OpenFile, isWritten: boolean): OpenFile {
    const sync = (name: string, action: () => Promise<void>): Promise<void> =>
      this.#run({ name, path }, action).catch((error: unknown) => {
        // The kernel takes what it could not write for written.
        const isLost = !this.isKilled && "forget" in file && typeof file.forget === "function";
        if (isLost) (file.forget as () => void)();
        throw error;
      });
    return {
      read: (...parameters) => file.read(...parameters),
      stat: () => file.stat(),
      write: (bytes, offset, length, position) =>
        this.#run(
          { name: "write", path },
          () => file.write(bytes, offset, length, position),
          () => file.write(bytes, offset, length >> 1, position),
        ),
      truncate: (size) => this.#run({ name: "ftruncate", path }, () => file.truncate(size)),
      datasync: () => sync("fdatasync", () => file.datasync()),
      sync: () => sync("fsync", () => file.sync()),
      close: async () => {
        // The kernel closes the file whatever it answers.
        if (this.#open.delete(file)) await file.close();
        if (isWritten) await this.#run({ name: "close", path }, () => Promise.resolve());
      },
    };
  }

  link(from: string, to: string): Promise<void> {
    return this.#run({ name: "link", path: to }, () => this.#base.link(from, to));
  }

  mkdir(path: string, options: { readonly mode: number }): Promise<unknown> {
    return this.#run({ name: "mkdir", path }, () => this.#base.mkdir(path, options));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#run({ name: "rename", path: to }, () => this.#base.rename(from, to));
  }

  unlink(path: string): Promise<void> {
    return this.#run({ name: "unlink", path }, () => this.#base.unlink(path));
  }

  chmod(path: string, mode: number): Promise<void> {
    return this.#run({ name: "chmod", path }, () => this.#base.chmod(path, mode));
  }

  async readdir(path: string): Promise<string[]> {
    this.#refuseIfKilled({ name: "readdir", path });
    return this.#base.readdir(path);
  }

  async readFile(path: string): Promise<Uint8Array> {
    this.#refuseIfKilled({ name: "read", path });
    return this.#base.readFile(path);
  }

  async stat(path: string): Promise<FileStatus> {
    this.#refuseIfKilled({ name: "stat", path });
    return this.#base.stat(path);
  }

  lock(path: string, mode: number): Promise<FileLock> {
    return this.#run({ name: "lock", path }, () => this.#base.lock(path, mode));
  }
}

/** Of a call that fails the file may be there, but nobody holds it. */
async function discard(result: unknown): Promise<void> {
  if (typeof result !== "object" || result === null) return;
  if ("close" in result) await (result as OpenFile).close();
  if ("release" in result) (result as FileLock).release();
}

function errorOf(code: string, { name, path }: SystemCall): Error {
  const message = `${code}: injected into ${name} ${shortPath(path)}`;
  return Object.assign(new Error(message), { code, syscall: name });
}

function shortPath(path: string): string {
  return path.replace(/^.*\/ledger\//, "").replace(/^.*\/ledger$/, ".");
}
