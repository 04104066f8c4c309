import { existsSync, mkdirSync, mkdtempSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { JsonValue } from "../../src/bytes/canonical-json.ts";
import { ControlError } from "../../src/service/control-error.ts";
import { askSidecar, openControlSocket } from "../../src/service/control-socket.ts";
import type { ControlHandlers } from "../../src/service/control-socket.ts";

const handlers: ControlHandlers = new Map([
  ["echo", (argument: JsonValue) => argument],
  [
    "fail",
    () => {
      throw new Error("the disk is full: free some space");
    },
  ],
]);

function directory(...parts: string[]): string {
  const path = join(mkdtempSync(join(tmpdir(), "spanseal-control-")), ...parts);
  mkdirSync(path, { recursive: true });
  return path;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "none";
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    return error.code;
  }
}

test("a command reaches the sidecar and its answer comes back", async () => {
  const place = directory();
  const socket = await openControlSocket(place, handlers);
  expect(statSync(join(place, "control.sock")).mode & 0o777).toBe(0o600);
  const argument = { a: [1, "é\n"], b: null };
  expect(await askSidecar(place, "echo", argument)).toEqual(argument);
  await expect(askSidecar(place, "fail")).rejects.toThrow("the disk is full: free some space");
  expect(await codeOf(askSidecar(place, "constructor"))).toBe("refused");
  await socket.close();
  expect(existsSync(join(place, "control.sock"))).toBe(false);
  expect(await codeOf(askSidecar(place, "echo"))).toBe("no_sidecar");
});

test("no directory, no socket and a socket left behind are all no sidecar", async () => {
  const place = directory();
  expect(await codeOf(askSidecar(join(place, "missing"), "echo"))).toBe("no_sidecar");
  expect(await codeOf(askSidecar(place, "echo"))).toBe("no_sidecar");
  writeFileSync(join(place, "control.sock"), "");
  expect(await codeOf(askSidecar(place, "echo"))).toBe("no_sidecar");
  const socket = await openControlSocket(place, handlers);
  expect(await askSidecar(place, "echo", 1)).toBe(1);
  await socket.close();
});

test.runIf(process.platform === "linux")("a path longer than a socket may have works", async () => {
  const place = directory("d".repeat(120), "ledger");
  const socket = await openControlSocket(place, handlers);
  expect(existsSync(join(place, "control.sock"))).toBe(true);
  expect(await askSidecar(place, "echo", "far away")).toBe("far away");
  await socket.close();
  expect(existsSync(join(place, "control.sock"))).toBe(false);
});

test("closing does not wait for a caller that says nothing", async () => {
  const place = directory();
  const socket = await openControlSocket(place, handlers);
  const silent = connect(join(place, "control.sock"));
  await new Promise((resolve) => silent.once("connect", resolve));
  const gone = new Promise((resolve) => silent.once("close", () => resolve("gone")));
  await socket.close();
  expect(await gone).toBe("gone");
});

test("a caller that sends no JSON or too much is answered or cut, and others go on", async () => {
  const place = directory();
  const socket = await openControlSocket(place, handlers);
  const answer = await new Promise<string>((resolve) => {
    const caller = connect(join(place, "control.sock"), () => caller.write("{nonsense\n"));
    caller.once("data", (chunk: Buffer) => resolve(chunk.toString()));
  });
  expect(JSON.parse(answer)).toHaveProperty("failure");
  const flood = connect(join(place, "control.sock"), () => flood.write("x".repeat(2_000_000)));
  flood.on("error", () => undefined);
  await new Promise((resolve) => flood.once("close", resolve));
  expect(await askSidecar(place, "echo", 2)).toBe(2);
  await socket.close();
});
