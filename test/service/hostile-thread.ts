/** A thread in place of the real one that does what a request's bytes say. */
import { parentPort } from "node:worker_threads";
import { ready } from "../../src/service/preparing/messages.ts";
import type { Task } from "../../src/service/preparing/messages.ts";

const port = parentPort!;

function wait(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

port.on("message", ({ bytes }: Task) => {
  const text = Buffer.from(bytes).toString();
  if (text === "exit") process.exit(3);
  if (text === "throw") throw new Error("unexpected");
  if (text === "hang") for (;;);
  if (text === "exhaust") for (const kept: number[][] = []; ;) kept.push(Array(1e6).fill(1));
  // A third of the silence that is allowed.
  if (text === "slow") wait(500);
  if (text === "brief") wait(20);
  const nothing = new Uint8Array(0);
  port.postMessage({
    batch: {
      signal: "traces",
      count: 0,
      ids: nothing,
      unrecorded: text.length,
    },
  });
});
port.postMessage(ready);
