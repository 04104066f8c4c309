/**
 * A disk in memory under the real `Files`, with the kernel's page cache in front of it: blocks, file
 * sizes and names are what readers see at once, and durable only once they are synced.
 */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import type {
  FileLock,
  FileStatus,
  FileSystem,
  OpenFile,
  OpenFlags,
} from "../../../src/ledger/file-system.ts";

const blockBytes = 4096;

interface Node {
  readonly isFolder: boolean;
  mode: number;
  /** What a reader sees. */
  seen: Buffer;
  /** What is on the disk. */
  disk: Buffer;
  /** Blocks that the kernel has yet to write. */
  readonly dirty: Set<number>;
}

/** A name that was given or taken and that its folder's sync has yet to make durable. */
interface NameChange {
  readonly path: string;
  readonly node: Node | undefined;
  /** Parts of one rename are there together or not at all. */
  readonly operation: number;
}

/** Something that a power cut may lose on its own. */
type Pending =
  | { readonly kind: "name"; readonly operation: number }
  | { readonly kind: "block"; readonly node: Node; readonly block: number }
  | { readonly kind: "size"; readonly node: Node };

export class MemoryDisk implements FileSystem {
  #names = new Map<string, Node>();
  #durableNames = new Map<string, Node>();
  #changes: NameChange[] = [];
  #operation = 0;
  readonly #locks = new Set<string>();

  constructor() {
    this.#names.set("/", newNode(true, 0o700));
    this.#durableNames = new Map(this.#names);
  }

  open(path: string, flags: OpenFlags, mode = 0o666): Promise<OpenFile> {
    return answer(() => {
      const found = this.#names.get(path);
      if (flags.startsWith("wx") && found !== undefined) throw failure("EEXIST", path);
      if (found === undefined && flags.startsWith("r")) throw failure("ENOENT", path);
      const isWritten = flags !== "r";
      // As the kernel answers everybody but root.
      if (found !== undefined && isWritten && (found.mode & 0o200) === 0)
        throw failure("EACCES", path);
      const node = found ?? newNode(false, mode);
      if (found === undefined) this.#setNames([[path, node]]);
      return this.#handle(path, node, flags.endsWith("s"));
    });
  }

  #handle(path: string, node: Node, isSynced: boolean): OpenFile & { forget(): void } {
    return {
      write: (bytes, offset, length, position) =>
        answer(() => {
          write(node, bytes.subarray(offset, offset + length), position);
          if (isSynced) sync(node);
          return { bytesWritten: length };
        }),
      read: (bytes, offset, length, position) =>
        answer(() => {
          const part = node.seen.subarray(position, position + length);
          bytes.set(part, offset);
          return { bytesRead: part.length };
        }),
      datasync: () => answer(() => sync(node)),
      sync: () => answer(() => (node.isFolder ? this.#syncNames(path) : sync(node))),
      truncate: (size) => answer(() => truncate(node, size)),
      stat: () => answer(() => ({ size: node.seen.length, isDirectory: () => node.isFolder })),
      close: () => answer(() => undefined),
      forget: () => node.dirty.clear(),
    };
  }

  link(from: string, to: string): Promise<void> {
    return answer(() => {
      if (this.#names.has(to)) throw failure("EEXIST", to);
      this.#setNames([[to, this.#node(from)]]);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return answer(() =>
      this.#setNames([
        [to, this.#node(from)],
        [from, undefined],
      ]),
    );
  }

  unlink(path: string): Promise<void> {
    return answer(() => {
      this.#node(path);
      this.#setNames([[path, undefined]]);
    });
  }

  mkdir(path: string, { mode }: { readonly mode: number }): Promise<void> {
    return answer(() => {
      if (this.#names.has(path)) throw failure("EEXIST", path);
      this.#setNames([[path, newNode(true, mode)]]);
    });
  }

  readdir(directory: string): Promise<string[]> {
    return answer(() => {
      if (!this.#node(directory).isFolder) throw failure("ENOTDIR", directory);
      const inside = this.paths().filter((path) => path !== "/" && dirname(path) === directory);
      return inside.map((path) => path.slice(path.lastIndexOf("/") + 1));
    });
  }

  readFile(path: string): Promise<Uint8Array> {
    return answer(() => {
      const node = this.#node(path);
      if (node.isFolder) throw failure("EISDIR", path);
      return Buffer.from(node.seen);
    });
  }

  stat(path: string): Promise<FileStatus> {
    return answer(() => {
      const { seen, mode, isFolder } = this.#node(path);
      return { size: seen.length, mode, isDirectory: () => isFolder };
    });
  }

  chmod(path: string, mode: number): Promise<void> {
    return answer(() => {
      this.#node(path).mode = mode;
    });
  }

  lock(path: string, mode: number): Promise<FileLock> {
    return answer(() => {
      if (!this.#names.has(path)) this.#setNames([[path, newNode(false, mode)]]);
      if (this.#locks.has(path)) throw failure("EBUSY", path);
      this.#locks.add(path);
      return { release: () => void this.#locks.delete(path) };
    });
  }

  /** All names, folders included. */
  paths(): string[] {
    return [...this.#names.keys()].toSorted();
  }

  isFolder(path: string): boolean {
    return this.#node(path).isFolder;
  }

  /** Changes a file behind everybody's back. */
  alter(path: string, change: (bytes: Buffer) => Buffer): void {
    const node = this.#node(path);
    node.seen = change(Buffer.from(node.seen));
    node.disk = Buffer.from(node.seen);
    node.dirty.clear();
  }

  discard(path: string): void {
    this.#names.delete(path);
    this.#durableNames.delete(path);
  }

  /** The same disk under a new process: nothing is lost, nothing more is synced, no lock is held. */
  afterKill(): MemoryDisk {
    const copies = new Map<Node, Node>();
    const copyOf = (node: Node): Node => {
      const known = copies.get(node);
      if (known !== undefined) return known;
      const { seen, disk, dirty } = node;
      const parts = { seen: Buffer.from(seen), disk: Buffer.from(disk), dirty: new Set(dirty) };
      const copy = { ...node, ...parts };
      copies.set(node, copy);
      return copy;
    };
    const copy = new MemoryDisk();
    copy.#names = mapValues(this.#names, copyOf);
    copy.#durableNames = mapValues(this.#durableNames, copyOf);
    copy.#changes = this.#changes.map((change) => ({
      ...change,
      node: change.node && copyOf(change.node),
    }));
    copy.#operation = this.#operation;
    return copy;
  }

  /** Tells disks apart by names and content. */
  contentDigest(): string {
    const digest = createHash("sha256");
    for (const path of this.paths()) {
      const { isFolder, seen } = this.#node(path);
      digest.update(`${path} ${isFolder} ${seen.length}\n`).update(seen);
    }
    return digest.digest("hex");
  }

  /** What a power cut may keep or lose, each by itself; `afterPowerCut` takes their numbers. */
  get pendingCount(): number {
    return this.#pending().length;
  }

  /** The disk after a power cut that kept those of the pending changes for which `keeps` is true. */
  afterPowerCut(keeps: (number: number) => boolean): MemoryDisk {
    const kept = this.#pending().filter((_, number) => keeps(number));
    return this.#image(
      new Set(kept.flatMap((one) => (one.kind === "name" ? [one.operation] : []))),
      (node) => contentWith(node, kept),
    );
  }

  /** Names and lengths are kept, and zeros stand where data was not synced. */
  afterLostData(): MemoryDisk {
    const kept = this.#pending().filter(({ kind }) => kind !== "block");
    return this.#image(new Set(this.#changes.map(({ operation }) => operation)), (node) =>
      contentWith(node, kept),
    );
  }

  #image(operations: ReadonlySet<number>, contentOf: (node: Node) => Buffer): MemoryDisk {
    const names = new Map(this.#durableNames);
    for (const { path, node, operation } of this.#changes) {
      if (!operations.has(operation)) continue;
      if (node === undefined) names.delete(path);
      else names.set(path, node);
    }
    const image = new MemoryDisk();
    const copies = new Map<Node, Node>();
    for (const path of [...names.keys()].toSorted()) {
      // A folder that was lost is lost with all that is in it.
      if (path !== "/" && !image.#names.has(dirname(path))) continue;
      const node = names.get(path)!;
      const seen = contentOf(node);
      const copy = copies.get(node) ?? { ...node, seen, disk: Buffer.from(seen), dirty: new Set() };
      copies.set(node, copy);
      image.#names.set(path, copy);
    }
    image.#durableNames = new Map(image.#names);
    return image;
  }

  /** In the order in which names changed; blocks and sizes of a file in ascending order. */
  #pending(): Pending[] {
    const operations = [...new Set(this.#changes.map(({ operation }) => operation))];
    const pending: Pending[] = operations.map((operation) => ({ kind: "name", operation }));
    const nodes = [...this.#names.values(), ...this.#changes.flatMap(({ node }) => node ?? [])];
    for (const node of new Set(nodes)) {
      for (const block of [...node.dirty].toSorted((left, right) => left - right)) {
        pending.push({ kind: "block", node, block });
      }
      if (node.seen.length !== node.disk.length) pending.push({ kind: "size", node });
    }
    return pending;
  }

  #setNames(entries: readonly (readonly [string, Node | undefined])[]): void {
    const operation = this.#operation++;
    for (const [path, node] of entries) {
      const folder = this.#names.get(dirname(path));
      if (folder === undefined) throw failure("ENOENT", path);
      if (!folder.isFolder) throw failure("ENOTDIR", path);
      if (node === undefined) this.#names.delete(path);
      else this.#names.set(path, node);
      this.#changes.push({ path, node, operation });
    }
  }

  #syncNames(directory: string): void {
    for (const { path, node } of this.#changes) {
      if (dirname(path) !== directory) continue;
      if (node === undefined) this.#durableNames.delete(path);
      else this.#durableNames.set(path, node);
    }
    this.#changes = this.#changes.filter(({ path }) => dirname(path) !== directory);
  }

  #node(path: string): Node {
    const node = this.#names.get(path);
    if (node === undefined) throw failure("ENOENT", path);
    return node;
  }
}

function newNode(isFolder: boolean, mode: number): Node {
  return { isFolder, mode, seen: Buffer.alloc(0), disk: Buffer.alloc(0), dirty: new Set() };
}

function write(node: Node, bytes: Uint8Array, position: number): void {
  const end = position + bytes.length;
  if (end > node.seen.length) {
    const grown = Buffer.alloc(end);
    node.seen.copy(grown);
    node.seen = grown;
  }
  node.seen.set(bytes, position);
  for (let at = position; at < end; at += blockBytes - (at % blockBytes)) {
    node.dirty.add(Math.floor(at / blockBytes));
  }
}

function truncate(node: Node, size: number): void {
  const kept = Buffer.alloc(size);
  node.seen.copy(kept);
  node.seen = kept;
  for (const block of node.dirty) if (block * blockBytes >= size) node.dirty.delete(block);
  // The rest of the last block is zeroed; what the kernel believes to be written it is no longer.
  if (size % blockBytes !== 0) node.dirty.add(Math.floor(size / blockBytes));
}

function sync(node: Node): void {
  node.disk = contentOf(node, [...node.dirty], node.seen.length);
  node.dirty.clear();
}

function contentWith(node: Node, kept: readonly Pending[]): Buffer {
  const own = kept.filter((one) => one.kind !== "name" && one.node === node);
  const blocks = own.flatMap((one) => (one.kind === "block" ? [one.block] : []));
  const hasSize = own.some(({ kind }) => kind === "size");
  return contentOf(node, blocks, hasSize ? node.seen.length : node.disk.length);
}

/** The disk's content with some blocks as they are seen. */
function contentOf(node: Node, blocks: readonly number[], size: number): Buffer {
  const content = Buffer.alloc(size);
  node.disk.copy(content);
  for (const block of blocks) {
    const start = block * blockBytes;
    node.seen.copy(content, start, start, start + blockBytes);
  }
  return content;
}

function mapValues(names: Map<string, Node>, copyOf: (node: Node) => Node): Map<string, Node> {
  return new Map([...names].map(([path, node]) => [path, copyOf(node)]));
}

async function answer<Result>(action: () => Result): Promise<Result> {
  await Promise.resolve();
  return action();
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code, syscall: "memory" });
}
