/** The schema of `receivers`: names as in the OpenTelemetry Collector. */
import { z } from "zod";
import * as limits from "../../limits.ts";
import type { ReceiversConfig } from "./model.ts";
import { byteSize, duration, endpoint, formatBytes, hourMs, integer, mib, text } from "./values.ts";

const serverTls = z.strictObject({
  cert_file: text().describe("PEM file with the server's certificate and its chain."),
  key_file: text().describe("PEM file with the certificate's private key."),
  client_ca_file: text()
    .optional()
    .describe(
      "PEM file with certificate authorities: with it every client must show a certificate.",
    ),
  reload_interval: duration({ min: 0, max: 24 * hourMs })
    .prefault("0s")
    .describe("How often the files are read again; 0s reads them once, at the start."),
});

const auth = z.strictObject({
  bearer_token_file: text().describe(
    "File with the token that senders give as `authorization: Bearer <token>`.",
  ),
});

const tlsDoc = "TLS of this receiver. Without it the receiver speaks plain text.";
const authDoc = "Who may send. Without it everybody who reaches the port may.";

const grpc = z.strictObject({
  endpoint: endpoint()
    .prefault("127.0.0.1:4317")
    .describe("Address to listen on, `host:port`. Port 0 takes a free one."),
  tls: serverTls.optional().describe(tlsDoc),
  auth: auth.optional().describe(authDoc),
  max_recv_msg_size_mib: integer({ min: 1, max: limits.requestBytesMax / mib })
    .prefault(limits.requestBytesMax / mib)
    .describe("Largest message, in MiB, before and after inflation."),
});

const http = z.strictObject({
  endpoint: endpoint()
    .prefault("127.0.0.1:4318")
    .describe("Address to listen on, `host:port`. Port 0 takes a free one."),
  tls: serverTls.optional().describe(tlsDoc),
  auth: auth.optional().describe(authDoc),
  max_request_body_size: byteSize({ min: 1024, max: limits.requestBytesMax })
    .prefault(formatBytes(limits.requestBytesMax))
    .describe("Largest request body, before and after inflation."),
  traces_url_path: urlPath().prefault("/v1/traces").describe("Path of requests with traces."),
  logs_url_path: urlPath().prefault("/v1/logs").describe("Path of requests with logs."),
  metrics_url_path: urlPath().prefault("/v1/metrics").describe("Path of requests with metrics."),
});

const protocols = z.strictObject({
  grpc: grpc.optional().describe("OTLP over gRPC. `grpc:` alone means with its defaults."),
  http: http
    .optional()
    .describe("OTLP over HTTP, protobuf and JSON. `http:` alone means with its defaults."),
});

/** `receivers`, as written in the file. */
export const receiversSchema: z.ZodType<ReceiversConfig> = z.strictObject({
  otlp: z
    .strictObject({
      protocols: protocols
        .prefault({ grpc: {}, http: {} })
        .describe("The protocols to receive. Where one is named, only those named are opened."),
    })
    .prefault({})
    .describe("The OTLP receiver."),
});

function urlPath(): z.ZodType<string, string> {
  return z.string().regex(/^\/[\w./-]*$/, { error: "a path that begins with /" });
}
