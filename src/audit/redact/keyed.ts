/**
 * Keyed digests: one value, one token, per tenant and class. Nobody without the pepper can compute
 * or compare them, and no two tenants share one.
 */
import { createHmac } from "node:crypto";
import { encodeUtf8 } from "../../bytes/utf8.ts";

export interface Pepper {
  /** Stands in every token, so that a rotated pepper can be told. */
  readonly id: string;
  readonly key: Uint8Array;
}

const domain = encodeUtf8("spanseal token v1\n");

/** HMAC-SHA256(pepper, domain ‖ tenant ‖ class ‖ value), each length-prefixed, as 64 hex digits. */
export function keyedDigest(pepper: Pepper, tenant: string, what: string, value: string): string {
  const mac = createHmac("sha256", pepper.key).update(domain);
  for (const part of [tenant, what, value]) {
    const bytes = encodeUtf8(part);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, bytes.length);
    mac.update(length).update(bytes);
  }
  return mac.digest("hex");
}
