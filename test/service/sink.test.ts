import { expect, test } from "vitest";

import { compileRedaction } from "../../src/audit/redact/policy.ts";
import type { ForwardControl } from "../../src/forward/control.ts";
import { encodeControl, parseControl } from "../../src/ledger/control.ts";
import { nodeFiles } from "../../src/ledger/files.ts";
import type { ControlInput } from "../../src/ledger/ledger.ts";
import { parseConfig } from "../../src/service/config.ts";
import { forwarderOptions } from "../../src/service/sink.ts";

const endpoint = "http://127.0.0.1:4320";
const silent = (): void => undefined;
const log = { trace: silent, debug: silent, info: silent, warn: silent, error: silent };

/** What stands in the log after forwarding said this. */
async function recorded(
  control: ForwardControl,
  address = endpoint,
): Promise<Readonly<Record<string, unknown>>> {
  const { config } = parseConfig(`exporters: { otlp_http: { endpoint: "${address}" } }`);
  const redaction = compileRedaction({
    packs: [],
    rules: [],
    phi: [],
    pepper: { id: "1", key: new Uint8Array(32) },
  });
  let input: ControlInput | undefined;
  const options = forwarderOptions({
    config,
    log,
    redaction,
    files: nodeFiles,
    appendControl: (appended) => Promise.resolve((input = appended)),
  });
  await options!.onControl(control);
  const { kind, members } = input!;
  return { ...parseControl(kind, encodeControl(kind, members, new Uint8Array(16))) };
}

test("the record of a suspension's end says in members what was left out", async () => {
  const control: ForwardControl = {
    kind: "forwarding_suspended",
    signal: "traces",
    phase: "end",
    sinceUnixMs: 1_767_225_600_123,
    entries: 5,
    bytes: 4096,
    items: 12,
    first: 4,
    end: 14,
    countsComplete: false,
  };
  expect(await recorded(control)).toEqual({
    byte_count: 4096,
    counts_complete: false,
    end: 14,
    first: 4,
    item_count: 12,
    phase: "end",
    request_count: 5,
    signal: "traces",
    since_time: "1767225600123000000",
    sink: endpoint,
  });
});

test("where a sink does not say how much it rejected, neither does the record", async () => {
  const control: ForwardControl = {
    kind: "sink_rejected",
    signal: "logs",
    first: 1,
    end: 2,
    reason: "unreadable",
    status: "HTTP 200",
    rejectedItems: undefined,
    message: "the answer is too long",
    requestBytes: 10,
    attempts: 1,
  };
  expect(await recorded(control)).toMatchObject({
    item_count: null,
    reason: "unreadable: the answer is too long",
  });
});

test("a key in the query of the sink's address does not reach the log", async () => {
  const control: ForwardControl = {
    kind: "sink_rejected",
    signal: "traces",
    first: 4,
    end: 5,
    reason: "rejected",
    status: "HTTP 400",
    rejectedItems: 1,
    message: "",
    requestBytes: 4096,
    attempts: 1,
  };
  const { sink } = await recorded(control, `${endpoint}/otlp?api_key=hunter2`);
  expect(sink).toBe(`${endpoint}/otlp`);
});
