/** Progress of long work: one line on stderr that is rewritten, only where stderr is a terminal. */
import { say } from "./output.ts";

const intervalMs = 200;

/** Shows `text` unless something was shown just before. */
type Show = (text: () => string) => void;

/** Does `work`, and clears the line whatever comes of it. */
export async function withProgress<T>(work: (show: Show) => Promise<T>): Promise<T> {
  const isTerminal = process.stderr.isTTY;
  let shownAt = 0;
  try {
    return await work((text) => {
      if (!isTerminal || performance.now() - shownAt < intervalMs) return;
      shownAt = performance.now();
      say(`\r\u{1b}[K${text()}`);
    });
  } finally {
    if (shownAt > 0) say("\r\u{1b}[K");
  }
}
