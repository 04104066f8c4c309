/**
 * Notices new contents of small files by reading them again. Reading, not watching: secrets are
 * replaced by renames, symbolic links and mounts, of which file events tell too little.
 */
import { readFile } from "node:fs/promises";

export interface FileWatch {
  close(): void;
}

export type Contents = readonly Buffer[];

/** What is told of a watch: new contents, or that they are of no use. */
export type WatchLog = (level: "info" | "error", message: string, cause?: unknown) => void;

/**
 * Reads `paths` every `intervalMs` and calls `onChange` when any content differs from `known`, and
 * `onError` when one cannot be read; after an error the next success is a change.
 */
export function watchFiles(
  paths: readonly string[],
  intervalMs: number,
  known: Contents,
  on: { change(contents: Contents): void; error(error: unknown): void },
): FileWatch {
  let last: Contents | null = known;
  let closed = false;
  let timer: NodeJS.Timeout;
  const look = async (): Promise<void> => {
    try {
      const contents = await readAll(paths);
      if (closed) return;
      const same = last?.every((content, index) => content.equals(contents[index]!));
      last = contents;
      if (same !== true) on.change(contents);
    } catch (error) {
      if (closed) return;
      last = null;
      on.error(error);
    }
    plan();
  };
  // One look after another: a slow mount must not pile them up.
  const plan = (): void => {
    timer = setTimeout(() => void look(), intervalMs).unref();
  };
  plan();
  return {
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/** @throws the error of node:fs of the first that cannot be read. */
export function readAll(paths: readonly string[]): Promise<Buffer[]> {
  return Promise.all(paths.map((path) => readFile(path)));
}
