/**
 * What passes between the threads. A task is a request whose bytes are the receiver's own; answers
 * come in the order of the tasks. Memory is handed over, not copied.
 */
import type { PreparedBatch } from "../../audit/prepared-batch.ts";
import type { TelemetryRequest } from "../../audit/request.ts";
import { RequestError } from "../../audit/request-error.ts";
import { fills, pool } from "../../bytes/pool.ts";
import { WireError } from "../../bytes/wire.ts";
import { describeError } from "../logged-error.ts";
import type { PolicyParts } from "../policy.ts";

/** What a thread is started with. The keys in it go nowhere else. */
export type ThreadData = PolicyParts;

export type Task = TelemetryRequest;

/** Sent once, when tasks may come. */
export const ready = "ready";

export type Answer =
  | { readonly batch: PreparedBatch }
  | { readonly wire: Pick<WireError, "code" | "message" | "offset"> }
  | { readonly request: Pick<RequestError, "code" | "message"> }
  /** A defect: what `prepare` is not expected to throw. */
  | { readonly defect: string };

export function answerOfError(error: unknown): Answer {
  if (error instanceof WireError) {
    const { code, message, offset } = error;
    return { wire: { code, message, offset } };
  }
  if (error instanceof RequestError)
    return { request: { code: error.code, message: error.message } };
  const { type, message = "", at = [] } = describeError(error);
  return { defect: [`${type}: ${message}`, ...at].join(" at ") };
}

/** @throws the error that the other thread caught, of the same class */
export function batchOf(answer: Answer): PreparedBatch {
  if ("batch" in answer) return answer.batch;
  if ("wire" in answer) {
    const { code, message, offset } = answer.wire;
    const error = new WireError(code, message, offset);
    error.message = message;
    throw error;
  }
  if ("request" in answer) throw new RequestError(answer.request.code, answer.request.message);
  throw new Error(`preparing a request failed: ${answer.defect}`);
}

/** The request with bytes of its own: copied where those that came share memory with others. */
export function taskOf(request: TelemetryRequest): { task: Task; transfer: ArrayBuffer[] } {
  const bytes = ownBytes(request.bytes);
  return { task: { ...request, bytes }, transfer: [bytes.buffer as ArrayBuffer] };
}

/** The batch, and its memory, each part of it once. */
export function answerOfBatch(batch: PreparedBatch): { answer: Answer; transfer: ArrayBuffer[] } {
  const own: PreparedBatch = {
    ...batch,
    ids: ownBytes(batch.ids),
    digests: ownBytes(batch.digests),
    bodies: ownBytes(batch.bodies),
    forward: ownBytes(batch.forward),
  };
  const { ids, digests, bodies, bodyEnds, chainOf, forward } = own;
  const arrays = [ids, digests, bodies, bodyEnds, chainOf, forward];
  const transfer = new Set(arrays.map(({ buffer }) => buffer as ArrayBuffer));
  return { answer: { batch: own }, transfer: [...transfer] };
}

/** Copied where it is a small part of its memory, which others may have parts of. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  if (fills(bytes)) return bytes;
  const copy = new Uint8Array(bytes);
  pool.release(bytes);
  return copy;
}
