/** Memory that begins where a page begins, which no other buffer of JavaScript promises to do. */

/** Blocks of disks and file systems are as large, or smaller. */
export const blockBytes = 4096;
const unitBytes = 65_536;

/** What of the engine's global is used here. */
declare const WebAssembly: {
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
};

/** Zeros. Takes memory as it is written to. */
export function blockMemory(byteCount: number): Buffer {
  const { buffer } = new WebAssembly.Memory({ initial: Math.ceil(byteCount / unitBytes) });
  return Buffer.from(buffer, 0, byteCount);
}
