/** What one attempt to send has in common whatever the protocol: its deadline, and how it fails. */
import { reasonOf } from "../bytes/thrown.ts";
import type { SendOutcome } from "./sink.ts";

/**
 * Certificates that are not accepted, by us or by the sink, stay so until somebody changes them.
 */
const certificateError =
  /^(?:CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(?:GET|VERIFY)_|ERR_TLS_CERT|HOSTNAME_MISMATCH|ERR_SSL_\w+_ALERT_(?:\w*CERTIFICATE|UNKNOWN_CA))/;

/** Runs `attempt` until `timeoutMs` are over or `abort` is aborted, whichever comes first. */
export async function withTimeout(
  timeoutMs: number,
  abort: AbortSignal,
  attempt: (abort: AbortSignal) => Promise<SendOutcome>,
): Promise<SendOutcome> {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    controller.abort();
  }, timeoutMs);
  abort.addEventListener("abort", stop);
  if (abort.aborted) controller.abort();
  try {
    return await attempt(controller.signal);
  } catch (error) {
    if (!isLate) return networkFailure(error);
    const message = `no answer within ${timeoutMs} ms`;
    return { kind: "retry", status: "timeout", message, isUnanswered: true };
  } finally {
    clearTimeout(timer);
    abort.removeEventListener("abort", stop);
  }
}

function networkFailure(error: unknown): SendOutcome {
  const status = codeOf(error) ?? "network error";
  const message = reasonOf(error);
  const kind = certificateError.test(status) ? "hold" : "retry";
  return { kind, status, message, isUnanswered: true };
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
