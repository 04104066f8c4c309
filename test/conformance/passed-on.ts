/** The other end of a receiver: takes what it passes on over OTLP/HTTP and finds items in it. */
import type { Signal } from "../../src/audit/otlp/schema.ts";
import { startHttpSink } from "../forward/http-sink-server.ts";
import { decodeOtlp, TOP } from "../ingest-json/otlp-proto.ts";
import type { PassedOn } from "./rule.ts";

const waitMsMax = 10_000;

export interface OtherEnd {
  readonly url: string;
  readonly find: (signal: Signal, name: string) => Promise<PassedOn>;
  close(): Promise<void>;
}

export async function startOtherEnd(port?: number): Promise<OtherEnd> {
  const sink = await startHttpSink(port === undefined ? {} : { port });
  return {
    url: sink.url,
    close: () => sink.close(),
    async find(signal, name) {
      const deadline = Date.now() + waitMsMax;
      for (;;) {
        for (const taken of sink.taken) {
          if (taken.signal !== signal || !taken.bytes.includes(name)) continue;
          const item = itemNamed(decodeOtlp(TOP[signal], taken.bytes), name);
          if (item !== undefined) return { item, bytes: taken.bytes };
        }
        if (Date.now() > deadline) throw new Error(`"${name}" was not passed on`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
  };
}

/** The span or metric of that name, anywhere in a decoded request. */
function itemNamed(value: unknown, name: string): PassedOn["item"] | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if ("name" in value && value.name === name) return { ...value };
  for (const inner of Object.values(value)) {
    const found = itemNamed(inner, name);
    if (found !== undefined) return found;
  }
  return undefined;
}
