/** The exporters of the OpenTelemetry SDK for Python, as they are, against the receivers. */
import { expect, test } from "vitest";
import { decodeOtlp } from "../ingest-json/otlp-proto.ts";
import { startRig } from "../ingest/receiver.ts";
import type { Rig } from "../ingest/receiver.ts";
import { pythonEnvironment } from "./python/environment.ts";

const python = await pythonEnvironment();
const isMissing = typeof python === "string";
if (isMissing) console.warn(`Python clients are not tested: ${python}`);

interface Span {
  readonly name: string;
  readonly kind: number;
  readonly attributes: readonly { readonly key: string; readonly value: unknown }[];
  readonly events?: readonly unknown[];
  readonly status?: unknown;
}

function spansOf(rig: Rig): Span[] {
  return rig.requests.flatMap(({ bytes }) => {
    const request = decodeOtlp("ExportTraceServiceRequest", bytes) as {
      resourceSpans: { scopeSpans: { spans: Span[] }[] }[];
    };
    return request.resourceSpans.flatMap(({ scopeSpans }) =>
      scopeSpans.flatMap(({ spans }) => spans),
    );
  });
}

async function runAgent(rig: Rig, transport: string, compression: string): Promise<void> {
  if (typeof python === "string") throw new Error(python);
  const port = transport === "grpc" ? rig.grpcPort : rig.httpPort;
  const endpoint = `http://127.0.0.1:${port}`;
  const { stdout, stderr } = await python.run("agent.py", transport, endpoint, compression);
  expect(stdout).toBe("flushed\n");
  // An SDK that logs a warning has lost something, or believes so.
  expect(
    stderr
      .split("\n")
      .filter((line) => !/retrying/i.test(line))
      .join("\n"),
  ).toBe("");
}

const transports = ["http", "grpc"];
const compressions = ["none", "gzip"];

test
  .skipIf(isMissing)
  .each(
    transports.flatMap((transport) => compressions.map((compression) => [transport, compression])),
  )(
  "spans over %s, compression %s, arrive whole and without a warning",
  async (transport, compression) => {
    const rig = await startRig();
    await runAgent(rig, transport, compression);
    const [tool, agent] = spansOf(rig);
    expect(agent).toMatchObject({
      name: "invoke_agent clinic",
      kind: 1,
      attributes: [
        { key: "gen_ai.operation.name", value: { stringValue: "invoke_agent" } },
        { key: "gen_ai.usage.input_tokens", value: { intValue: "9007199254740993" } },
        { key: "ratio", value: { doubleValue: 0.5 } },
        {
          key: "names",
          value: {
            arrayValue: {
              values: [{ stringValue: "a" }, { stringValue: "é" }, { stringValue: "" }],
            },
          },
        },
      ],
    });
    expect(tool).toMatchObject({
      name: "execute_tool lookup",
      kind: 3,
      events: [
        {
          name: "answer",
          attributes: [
            { key: "rows", value: { intValue: "2" } },
            { key: "cached", value: { boolValue: false } },
          ],
        },
      ],
      status: { code: 2, message: "no such row" },
    });
  },
);

test.skipIf(isMissing).each(transports)(
  "a refusal over %s that may pass is repeated by the SDK",
  async (transport) => {
    const rig = await startRig();
    let failures = 1;
    rig.handle = async () => {
      if (failures-- > 0) throw new Error("the disk is busy");
    };
    await runAgent(rig, transport, "gzip");
    expect(spansOf(rig).map(({ name }) => name)).toEqual([
      "execute_tool lookup",
      "invoke_agent clinic",
      "execute_tool lookup",
      "invoke_agent clinic",
    ]);
    expect(rig.requests).toHaveLength(2);
  },
);
