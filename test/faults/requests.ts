/** Requests of all signals whose one item carries a label, and where the label is found again. */
import { randomBytes } from "node:crypto";
import type { Signal } from "../../src/audit/otlp/schema.ts";
import { logRequest, metricRequest, oneCall } from "../system/telemetry.ts";

/** `traces-7`: what is followed from the sender to the sink, whatever the signal. */
export function labelOf(signal: Signal, id: number): string {
  return `${signal}-${id}`;
}

/** All labels in the bytes of a request. */
export function labelsIn(bytes: Uint8Array): string[] {
  return (
    Buffer.from(bytes)
      .toString("latin1")
      .match(/(?:traces|logs|metrics)-\d+(?=\.)/g) ?? []
  );
}

/** Text that no compression makes small and no detector looks at twice. */
function filler(byteCount: number): string {
  const letters = "abcdefghijklmnop";
  return [...randomBytes(Math.ceil(byteCount / 2))]
    .map((byte) => letters[byte >> 4]! + letters[byte & 15]!)
    .join("");
}

/** @param byteCount of text beside the label */
export function labelled(signal: Signal, id: number, byteCount = 0): Uint8Array {
  // The point ends the number, whatever byte comes next in the message.
  const label = `${labelOf(signal, id)}.`;
  if (signal === "logs") return logRequest([`${label} ${filler(byteCount)}`]);
  if (signal === "metrics") return metricRequest([`${label} ${filler(byteCount)}`]);
  const members = byteCount === 0 ? {} : { "gen_ai.tool.call.result": filler(byteCount) };
  return oneCall({ id, name: label, members });
}
