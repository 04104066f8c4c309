import { expect, test } from "vitest";
import { startBackoff } from "../../src/forward/backoff.ts";
import { countItems } from "../../src/forward/item-count.ts";
import {
  cleanMessage,
  readErrorMessage,
  readExportResponse,
  readRetryAfter,
  readStatus,
} from "../../src/forward/sink-answer.ts";
import { retryDefaults } from "./harness.ts";
import { metricsRequest, partialSuccess, rpcStatus, traceRequest } from "./otlp-requests.ts";

const now = Date.UTC(2026, 10, 21, 8, 0, 0);

test.each([
  ["0", 0],
  ["120", 120_000],
  [" 7 ", 7000],
  ["Sat, 21 Nov 2026 08:00:30 GMT", 30_000],
  ["Saturday, 21-Nov-26 08:00:30 GMT", 30_000],
  ["Sat Nov 21 08:00:30 2026", 30_000],
  ["Sat, 21 Nov 2026 07:00:00 GMT", 0],
  ["999999999", 3_600_000],
  ["-1", undefined],
  ["1.5", undefined],
  ["soon", undefined],
  ["2026-11-21T08:00:30Z", undefined],
  ["", undefined],
  [undefined, undefined],
])("Retry-After %j is %j ms", (text, expected) => {
  expect(readRetryAfter(text, now)).toBe(expected);
});

test("a status carries its message and its RetryInfo", () => {
  expect(readStatus(rpcStatus("slow", 250))).toEqual({ message: "slow", retryAfterMs: 250 });
  expect(readStatus(rpcStatus("no"))).toEqual({ message: "no", retryAfterMs: undefined });
  expect(readStatus(Buffer.from("<html>"))).toBeUndefined();
});

test("partial success is read from both encodings, anything else is none", () => {
  const partial = { kind: "partial", rejectedItems: 3, message: "why" };
  expect(readExportResponse(partialSuccess(3, "why"), false)).toEqual(partial);
  const json = { partialSuccess: { rejectedLogRecords: 3, errorMessage: "why" } };
  expect(readExportResponse(Buffer.from(JSON.stringify(json)), true)).toEqual(partial);
  expect(readExportResponse(partialSuccess(0, ""), false)).toBeUndefined();
  for (const body of ["", "{}", "null", "[]", "nonsense", '{"partialSuccess":null}']) {
    expect(readExportResponse(Buffer.from(body), true)).toBeUndefined();
  }
  expect(readExportResponse(partialSuccess(-5, "odd"), false)).toMatchObject({ rejectedItems: 0 });
});

test("error messages come from a Status in protobuf or JSON, or from text, and not from bytes", () => {
  expect(readErrorMessage(rpcStatus("bad"), "application/x-protobuf")).toBe("bad");
  expect(readErrorMessage(Buffer.from('{"message":"bad"}'), "application/json")).toBe("bad");
  expect(readErrorMessage(Buffer.from("bad"), "text/plain; charset=utf-8")).toBe("bad");
  expect(readErrorMessage(Buffer.from([0xff, 0x00]), "application/octet-stream")).toBe("");
});

test("a message is redacted before it is cut, so that no half of a match is left", () => {
  const secret = "4111 1111 1111 1111";
  const redact = (text: string): string => text.replaceAll(secret, "[REDACTED:card]");
  const text = `${"x".repeat(250)}${secret}`;
  expect(cleanMessage(text, redact)).toBe(`${"x".repeat(250)}[REDAC`);
  expect(cleanMessage("a\r\n\u2028b\u0000c", (same) => same)).toBe("a b c");
  expect(cleanMessage("😀".repeat(200), (same) => same)).toHaveLength(256);
});

test("items are counted for the record about a rejection", () => {
  expect(countItems("traces", traceRequest(["a", "b"]))).toBe(2);
  expect(countItems("logs", traceRequest(["a"]))).toBe(1);
  expect(countItems("metrics", metricsRequest([2, 3]))).toBe(5);
  expect(countItems("traces", new Uint8Array())).toBe(0);
  expect(countItems("traces", Buffer.from("nonsense"))).toBe(0);
});

test("waits grow by the multiplier up to the longest, with jitter around them", () => {
  const middle = startBackoff(retryDefaults, () => 0.5);
  const waits = Array.from({ length: 7 }, () => middle.nextMs());
  expect(waits).toEqual([5000, 7500, 11_250, 16_875, 25_312.5, 30_000, 30_000]);
  expect(startBackoff(retryDefaults, () => 0).nextMs()).toBe(2500);
  expect(startBackoff(retryDefaults, () => 1).nextMs()).toBe(7500);
});
