/**
 * A file system in memory that knows what a power cut would leave. One operation can be made to
 * fail, or to be the last one.
 */
import { dirname } from "node:path";
import type { AppendFile, Files } from "../../src/ledger/files.ts";

interface Node {
  /** What a reader sees. */
  seen: Buffer;
  /** What is on the disk. */
  synced: Buffer;
  /** After a failed sync the kernel takes the data for written: later syncs do nothing for it. */
  untrusted: boolean;
}

export type Remains =
  /** Only what was synced, names included. */
  | "synced"
  /** Everything, as after a killed process. */
  | "seen"
  /** All names and lengths, but zeros where data was not synced. */
  | "zeros";

export interface Failure {
  /** Number of the changing operation, from 1. */
  readonly at: number;
  readonly kind: "error" | "power-cut";
}

export class SimulatedFiles implements Files {
  private names = new Map<string, Node>();
  private syncedNames = new Map<string, Node>();
  private readonly failure: Failure | undefined;
  private temporaryCount = 0;
  operations = 0;
  isCut = false;

  constructor(failure?: Failure) {
    this.failure = failure;
  }

  /** The file system after the power came back. */
  after(remains: Remains, failure?: Failure): SimulatedFiles {
    const files = new SimulatedFiles(failure);
    for (const [path, node] of remains === "synced" ? this.syncedNames : this.names) {
      const copy = Buffer.from(remains === "seen" ? node.seen : node.synced);
      const missing = Math.max(0, node.seen.length - copy.length);
      const data = remains === "zeros" ? Buffer.concat([copy, Buffer.alloc(missing)]) : copy;
      files.names.set(path, { seen: data, synced: Buffer.from(data), untrusted: false });
    }
    files.syncedNames = new Map(files.names);
    return files;
  }

  /** The same file system under a new process: nothing is lost, and nothing more is synced. */
  afterKill(): SimulatedFiles {
    const files = new SimulatedFiles();
    files.names = new Map(this.names);
    files.syncedNames = new Map(this.syncedNames);
    return files;
  }

  paths(): string[] {
    return [...this.names.keys()].toSorted();
  }

  /** Changes a file behind everybody's back. */
  alter(path: string, change: (bytes: Buffer) => Buffer): void {
    const node = this.node(path);
    node.seen = change(Buffer.from(node.seen));
    node.synced = Buffer.from(node.seen);
  }

  discard(path: string): void {
    this.names.delete(path);
    this.syncedNames.delete(path);
  }

  openAppend(path: string): Promise<AppendFile> {
    return this.change(() => {
      const node = this.names.get(path) ?? newNode(Buffer.alloc(0));
      this.names.set(path, node);
      return {
        path,
        write: (bytes, position) =>
          this.change(
            () => write(node, bytes, position),
            () => write(node, bytes.subarray(0, bytes.length >> 1), position),
          ),
        sync: () =>
          this.change(
            () => sync(node),
            () => void (node.untrusted = !this.isCut),
          ),
        truncate: (size) =>
          this.change(() => {
            node.seen = Buffer.from(node.seen.subarray(0, size));
            if (node.seen.length <= node.synced.length) node.untrusted = false;
          }),
        size: () => Promise.resolve(node.seen.length),
        close: () => Promise.resolve(),
      };
    });
  }

  async read(path: string): Promise<Uint8Array> {
    return Promise.resolve(Buffer.from(this.node(path).seen));
  }

  async readRange(path: string, position: number, byteCount: number): Promise<Uint8Array> {
    const bytes = await this.read(path);
    return bytes.subarray(position, position + byteCount);
  }

  async size(path: string): Promise<number> {
    return Promise.resolve(this.node(path).seen.length);
  }

  list(directory: string): Promise<string[]> {
    const inside = this.paths().filter((path) => dirname(path) === directory);
    return Promise.resolve(inside.map((path) => path.slice(directory.length + 1)));
  }

  makeDirectory(): Promise<void> {
    return this.change(() => undefined);
  }

  syncDirectory(directory: string): Promise<void> {
    return this.change(() => {
      for (const path of new Set([...this.names.keys(), ...this.syncedNames.keys()])) {
        if (dirname(path) !== directory) continue;
        const node = this.names.get(path);
        if (node === undefined) this.syncedNames.delete(path);
        else this.syncedNames.set(path, node);
      }
    });
  }

  async createExclusive(path: string, bytes: Uint8Array): Promise<void> {
    await this.createInFolder(path, bytes);
    await this.syncDirectory(dirname(path));
  }

  createInFolder(path: string, bytes: Uint8Array): Promise<void> {
    return this.change(() => {
      if (this.names.has(path)) throw failureOf("EEXIST", path);
      this.names.set(path, { ...newNode(Buffer.from(bytes)), synced: Buffer.from(bytes) });
    });
  }

  async replace(path: string, bytes: Uint8Array): Promise<void> {
    const temporary = `${dirname(path)}/.tmp-${this.temporaryCount++}`;
    const file = await this.openAppend(temporary);
    await file.write(bytes, 0);
    await file.sync();
    await this.move(temporary, path);
  }

  async move(from: string, to: string): Promise<void> {
    await this.change(() => {
      this.names.set(to, this.node(from));
      this.names.delete(from);
    });
    await this.syncDirectory(dirname(to));
  }

  async remove(path: string): Promise<void> {
    await this.change(() => {
      this.node(path);
      this.names.delete(path);
    });
    await this.syncDirectory(dirname(path));
  }

  setMode(): Promise<void> {
    return Promise.resolve();
  }

  private node(path: string): Node {
    const node = this.names.get(path);
    if (node === undefined) throw failureOf("ENOENT", path);
    return node;
  }

  /** `partly` is what happens of the operation where it fails. */
  private async change<Value>(all: () => Value, partly?: () => void): Promise<Value> {
    await Promise.resolve();
    if (this.isCut) throw failureOf("EIO", "no power");
    this.operations++;
    if (this.operations !== this.failure?.at) return all();
    this.isCut = this.failure.kind === "power-cut";
    partly?.();
    throw failureOf("EIO", "made to fail");
  }
}

function newNode(seen: Buffer): Node {
  return { seen, synced: Buffer.alloc(0), untrusted: false };
}

function write(node: Node, bytes: Uint8Array, position: number): void {
  const size = Math.max(node.seen.length, position + bytes.length);
  const grown = Buffer.alloc(size);
  node.seen.copy(grown);
  grown.set(bytes, position);
  node.seen = grown;
}

function sync(node: Node): void {
  const end = node.untrusted ? Math.min(node.synced.length, node.seen.length) : node.seen.length;
  node.synced = Buffer.from(node.seen.subarray(0, end));
}

function failureOf(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}
