/** Fixed text that is compared four bytes at a time. */
import { encodeUtf8 } from "../bytes/utf8.ts";

export interface Words {
  readonly words: Int32Array;
  /** Of the last word, as many bytes as the text has in it. */
  readonly lastMask: number;
  readonly byteCount: number;
}

export function wordsOf(text: string): Words {
  const bytes = new Uint8Array(Math.ceil(text.length / 4) * 4);
  bytes.set(encodeUtf8(text));
  const view = new DataView(bytes.buffer);
  const words = new Int32Array(bytes.length / 4).map((_, at) => view.getInt32(4 * at, true));
  return { words, lastMask: -1 >>> (8 * (bytes.length - text.length)), byteCount: text.length };
}
