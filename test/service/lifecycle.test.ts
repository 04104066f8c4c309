import { execFileSync, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

const service = join(import.meta.dirname, "../../src/service");

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** Runs `serveUntilSignal` in a process whose `start` has this body. */
function run(start: string, stderrTo: "pipe" | number = "pipe"): Promise<End> {
  const script = `
    import { serveUntilSignal } from "${service}/lifecycle.ts";
    import { openLog } from "${service}/log.ts";
    const closing = { close: async () => console.error("closed in order") };
    await serveUntilSignal(openLog("info"), async () => { ${start}; return closing; })
      .catch((error) => { console.error(error.message); process.exitCode = 1; });
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "ignore", stderrTo],
  });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal, stderr }));
  });
}

/** A program of every system that it runs on. */
const pipeMaker = "mkfifo";
const alive = "setInterval(() => undefined, 1000)";

/** What calls the file system, which never answers. */
function hungCall(): string {
  const fifo = join(mkdtempSync(join(tmpdir(), "spanseal-lifecycle-")), "fifo");
  execFileSync(pipeMaker, [fifo]);
  return `(await import("node:fs")).open("${fifo}", "r", () => undefined)`;
}

test("an exception that nobody caught ends the process at once, whatever never returns", async () => {
  const { signal, stderr } = await run(
    `${hungCall()}; setTimeout(() => { throw new Error("bug"); }, 10)`,
  );
  expect(signal).toBe("SIGKILL");
  expect(stderr).toContain('"message":"bug"');
  expect(stderr).not.toContain("closed in order");
});

test("so does a rejection that nobody handled", async () => {
  const { signal, stderr } = await run(
    `${alive}; setTimeout(() => Promise.reject(new Error("bug")), 10)`,
  );
  expect(signal).toBe("SIGKILL");
  expect(stderr).toContain("unexpected error");
});

test("a start that fails does not wait for ever for a call that never returns", async () => {
  const { signal, stderr } = await run(`${hungCall()}; throw new Error("no such key")`);
  expect(signal).toBe("SIGKILL");
  expect(stderr).toContain("no such key");
}, 30_000);

test("a signal during the start is obeyed once it is over", async () => {
  const { code, stderr } = await run(
    `const held = ${alive}; process.kill(process.pid, "SIGTERM");
     await new Promise((resolve) => setTimeout(resolve, 200)); clearInterval(held)`,
  );
  expect(code).toBe(0);
  expect(stderr).toContain("closed in order");
});

test("a second signal waits neither for the close nor for a call that never returns", async () => {
  const { signal, stderr } = await run(
    `${alive}; ${hungCall()}; closing.close = () => { setTimeout(() => process.kill(process.pid, "SIGINT"), 600);
       return new Promise(() => undefined); };
     process.kill(process.pid, "SIGTERM")`,
  );
  expect(signal).toBe("SIGKILL");
  expect(stderr).toContain("second signal");
});

test.runIf(process.platform === "linux")("a full disk under the log ends nothing", async () => {
  const full = openSync("/dev/full", "w");
  const { code } = await run(
    `const held = ${alive}; process.kill(process.pid, "SIGTERM");
     closing.close = async () => { await new Promise((resolve) => setTimeout(resolve, 200));
       clearInterval(held); }`,
    full,
  );
  closeSync(full);
  expect(code).toBe(0);
});

test("a signal that npm passes on once more is the same signal", async () => {
  const { code, stderr } = await run(
    `const held = ${alive}; process.kill(process.pid, "SIGINT");
     setTimeout(() => process.kill(process.pid, "SIGINT"), 50);
     await new Promise((resolve) => setTimeout(resolve, 200)); clearInterval(held)`,
  );
  expect(code).toBe(0);
  expect(stderr).toContain("closed in order");
});

test("a close that fails does not leave the process waiting for its time", async () => {
  const { code, stderr } = await run(
    `const held = ${alive}; closing.close = async () => { clearInterval(held); throw new Error("disk"); };
     process.kill(process.pid, "SIGTERM")`,
  );
  expect(code).toBe(1);
  expect(stderr).toContain("disk");
  expect(stderr).not.toContain("not ended after");
});
