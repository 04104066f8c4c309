/** Where a gRPC sink is reached. */

export interface GrpcTarget {
  /** `host:port` */
  readonly address: string;
  readonly origin: string;
}

/**
 * `host:port`, or a URL whose scheme decides about TLS. A port is always named: neither of those
 * that a URL implies is the one of OTLP. Undefined for anything else.
 */
export function parseGrpcTarget(endpoint: string, insecure: boolean): GrpcTarget | undefined {
  const match = /^(?:(https?):\/\/)?([^/@?#\s]+:\d{1,5})\/?$/.exec(endpoint);
  const scheme = match?.[1] ?? (insecure ? "http" : "https");
  const origin = `${scheme}://${match?.[2]}`;
  if (match === null || !URL.canParse(origin)) return undefined;
  return { address: match[2]!, origin };
}
