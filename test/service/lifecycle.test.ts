import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const service = join(import.meta.dirname, "../../src/service");

/** Runs `serveUntilSignal` in a process whose `start` has this body. */
function run(start: string): Promise<{ code: number | null; stderr: string }> {
  const script = `
    import { serveUntilSignal } from "${service}/lifecycle.ts";
    import { openLog } from "${service}/log.ts";
    const closing = { close: async () => console.error("closed in order") };
    await serveUntilSignal(openLog("info"), async () => { ${start}; return closing; });
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, stderr })));
}

const alive = "setInterval(() => undefined, 1000)";

test("an exception that nobody caught ends the process without an orderly close", async () => {
  const { code, stderr } = await run(`${alive}; setTimeout(() => { throw new Error("bug"); }, 10)`);
  expect(code).toBe(1);
  expect(stderr).toContain('"message":"bug"');
  expect(stderr).not.toContain("closed in order");
});

test("so does a rejection that nobody handled", async () => {
  const { code, stderr } = await run(
    `${alive}; setTimeout(() => Promise.reject(new Error("bug")), 10)`,
  );
  expect(code).toBe(1);
  expect(stderr).toContain("unexpected error");
});

test("a signal during the start is obeyed once it is over", async () => {
  const { code, stderr } = await run(
    `const held = ${alive}; process.kill(process.pid, "SIGTERM");
     await new Promise((resolve) => setTimeout(resolve, 200)); clearInterval(held)`,
  );
  expect(code).toBe(0);
  expect(stderr).toContain("closed in order");
});

test("a second signal does not wait for the close", async () => {
  const { code, stderr } = await run(
    `${alive}; closing.close = () => { setTimeout(() => process.kill(process.pid, "SIGINT"), 600);
       return new Promise(() => undefined); };
     process.kill(process.pid, "SIGTERM")`,
  );
  expect(code).toBe(1);
  expect(stderr).toContain("second signal");
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
