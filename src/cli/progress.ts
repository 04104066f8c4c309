/** Progress of long work: one line on stderr that is rewritten, only where stderr is a terminal. */
import { say } from "./output.ts";

const intervalMs = 200;

export interface Progress {
  /** Shows `text` unless something was shown just before. */
  show(text: () => string): void;
  /** Clears the line. */
  end(): void;
}

export function openProgress(): Progress {
  const isTerminal = process.stderr.isTTY;
  let shownAt = 0;
  return {
    show(text) {
      if (!isTerminal || performance.now() - shownAt < intervalMs) return;
      shownAt = performance.now();
      say(`\r\u{1b}[K${text()}`);
    },
    end() {
      if (isTerminal && shownAt > 0) say("\r\u{1b}[K");
    },
  };
}
