/** Everything that can go wrong on the way to a sink that is well itself. */
import { describe, expect, test } from "vitest";
import type { TestContext } from "vitest";
import { Gate } from "./gate.ts";
import type { Fault } from "./gate.ts";
import { sinkKinds } from "./sinks.ts";
import type { SinkKind } from "./sinks.ts";
import type { Verdict } from "./trial.ts";
import { conclude, kept, quick, Trial } from "./trial.ts";

interface Scenario {
  readonly name: string;
  readonly fault: Fault | Readonly<Record<SinkKind["name"], Fault>>;
  /** What readiness says meanwhile. */
  readonly reason: RegExp;
}

const text = (lines: string): Uint8Array => Buffer.from(lines);
/** An HTTP/2 frame on the first stream that a client opens, or on the connection. */
function frame(type: number, { stream = 1, payload = Buffer.alloc(0) }): Uint8Array {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const headersType = 1;
const settingsType = 4;
const continuationType = 9;
/** `x: xxxxx…`, never indexed, 100 bytes long. */
const literal = Buffer.concat([Buffer.from([0x10, 1, 0x78, 100]), Buffer.alloc(100, "x")]);

const lost = /ECONNRESET|EPIPE|network error|ERR_HTTP2/;
const late = /timeout: no answer within 1000 ms/;
const strange = /HPE_INVALID_CONSTANT|network error|ERR_HTTP2|ECONNRESET/;

const scenarios: readonly Scenario[] = [
  { name: "connection refused", fault: "closed", reason: /ECONNREFUSED/ },
  { name: "connection reset as it is made", fault: "reset", reason: lost },
  { name: "accepts and never reads (TCP window full)", fault: "unread", reason: late },
  { name: "reads and never answers", fault: "mute", reason: late },
  { name: "reset in the middle of the request", fault: "cut request", reason: lost },
  { name: "reset before the answer (lost response)", fault: "cut answer", reason: lost },
  { name: "half-closed before the answer", fault: "half-close", reason: lost },
  { name: "answers one byte at a time", fault: "drip", reason: late },
  {
    name: "answers what is no protocol",
    fault: { answers: [text("220 mail.example ESMTP ready\r\n")] },
    reason: strange,
  },
  {
    name: "headers without an end",
    fault: {
      HTTP: {
        answers: [text("HTTP/1.1 200 OK\r\n")],
        endless: text("x-more: and more\r\n".repeat(500)),
      },
      gRPC: {
        answers: [frame(settingsType, { stream: 0 }), frame(headersType, { payload: literal })],
        endless: frame(continuationType, { payload: Buffer.concat(Array(100).fill(literal)) }),
      },
    },
    reason: /OVERFLOW|network error|ERR_HTTP2|ECONNRESET/,
  },
];

describe.each(sinkKinds)("$name sink, network", (kind) => {
  test.for(scenarios)("$name", async ({ fault, reason }, context) => {
    const verdict = await outlive(kind, context, async (trial, gate) => {
      await gate.break(typeof fault === "object" && "HTTP" in fault ? fault[kind.name] : fault);
      await trial.sendAll(5);
      // Longer than what a connection carries before it is cut.
      await trial.send(2, "traces", 20_000);
      await trial.waitUntil("retrying", reason);
      await trial.kill();
      await trial.sendAll(3);
      await trial.waitUntil("retrying", reason);
      await gate.mend();
    });
    expect(verdict).toMatchObject(kept);
  });

  test("keep-alive connection closed as the next request comes", async (context) => {
    const verdict = await outlive(kind, context, async (trial, gate) => {
      for (let round = 0; round < 5; round++) {
        await gate.break("stale");
        await trial.send(1);
        await trial.settle();
      }
      await gate.mend();
    });
    expect(verdict).toMatchObject(kept);
  });
});

/** Before, during and after a fault everything that is acknowledged arrives, once it can. */
async function outlive(
  kind: SinkKind,
  context: TestContext,
  meanwhile: (trial: Trial, gate: Gate) => Promise<void>,
): Promise<Verdict> {
  const sink = await kind.open();
  const gate = await Gate.open({ port: sink.port, taken: () => sink.taken() });
  const more = { timeout: "1s", retry_on_failure: quick };
  const exporters = kind.exporters(`127.0.0.1:${gate.port}`, more);
  const trial = await Trial.start({ exporters }, sink);
  await trial.sendAll(2);
  await trial.settle();
  await meanwhile(trial, gate);
  await trial.sendAll(2);
  return conclude(trial, context);
}
