/** Our own sidecar against every rule: kept, or the decision not to is as it is written down. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { launchSidecar, type SidecarProcess } from "../service/sidecar-process.ts";
import { startOtherEnd, type OtherEnd } from "./passed-on.ts";
import type { Receiver } from "./rule.ts";
import { judge, rules } from "./run.ts";

let sidecar: SidecarProcess;
let end: OtherEnd;
let receiver: Receiver;

beforeAll(async () => {
  end = await startOtherEnd();
  sidecar = await launchSidecar({ config: { exporters: { otlp_http: { endpoint: end.url } } } });
  const { http, grpc } = sidecar.ready.endpoints;
  receiver = { http: `http://${http}`, grpc, passedOn: end.find };
});

afterAll(async () => {
  await sidecar.stop();
  await end.close();
});

describe.each(rules)("$id ($level): $says", ({ cases }) => {
  test.concurrent.each(cases)("$name", async (asked) => {
    const { verdict, detail } = await judge(asked, receiver);
    // Either it is kept, or the decision not to is as it is written down.
    const wanted = "test" in asked ? "unasked" : asked.deliberate ? "unsupported" : "pass";
    expect(`${verdict} ${detail}`).toContain(`${wanted} ${asked.deliberate?.reason ?? ""}`);
  });
});

test("tests that rules name are there", () => {
  const named = rules.flatMap(({ cases }) =>
    cases.flatMap((one) => ("test" in one ? [one.test] : [])),
  );
  const lost = named.filter(({ file, title }) => {
    const text = readFileSync(join(import.meta.dirname, "../..", file), "utf8");
    return !text.includes(`"${title}`);
  });
  expect(lost).toEqual([]);
});

test("every rule of the list is here, each once", () => {
  const ids = (letter: string, last: number): string[] =>
    Array.from({ length: last }, (_, at) => `${letter}${at + 1}`);
  expect(rules.map(({ id }) => id)).toEqual([...ids("H", 24), ...ids("G", 10), ...ids("P", 12)]);
});

test("names of cases are unique where items are found by them", () => {
  const names = rules.flatMap(({ cases }) =>
    cases.flatMap((one) => ("request" in one && one.arrives ? [one.arrives.name] : [])),
  );
  expect(names).toEqual([...new Set(names)]);
});

function command(parameters: readonly string[]): Promise<{ code: number; stdout: string }> {
  const main = join(import.meta.dirname, "main.ts");
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...parameters], (error, stdout) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout }),
    );
  });
}

test("by address: ours passes, a server that says 200 to everything does not", async () => {
  const { http, grpc } = sidecar.ready.endpoints;
  const ours = await command(["--http", `http://${http}`, "--grpc", grpc]);
  expect(ours.stdout).toMatch(/^P12 +pass /m);
  expect(ours.stdout).not.toContain("FAIL");
  expect(ours.code).toBe(0);

  const toy = createServer(
    (request, response) => void request.resume().on("end", () => response.end()),
  );
  onTestFinished(() => void toy.close());
  toy.listen(0, "127.0.0.1");
  await once(toy, "listening");
  const address = `http://127.0.0.1:${(toy.address() as AddressInfo).port}`;
  const broken = await command(["--http", address, "--json"]);
  const verdicts = JSON.parse(broken.stdout) as { id: string; verdict: string }[];
  const failed = verdicts.filter(({ verdict }) => verdict === "fail").map(({ id }) => id);
  expect(failed).toEqual(expect.arrayContaining(["H5", "H7", "H8", "H9", "H12", "P1", "P3"]));
  expect(verdicts.find(({ id }) => id === "G1")).toMatchObject({ verdict: "not asked" });
  expect(broken.code).toBe(1);
  expect((await command([])).code).toBe(2);
});
