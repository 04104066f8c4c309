/** Keys of the configuration that only a running sidecar shows to be obeyed. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { startSidecar } from "./sidecar-process.ts";

const anyPort = "127.0.0.1:0";
const span =
  '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c",' +
  '"spanId":"eee19b7ec3c1b174","name":"GET"}]}]}]}';

function post(address: string, path: string, body = span): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return fetch(`http://${address}${path}`, { method: "POST", headers, body });
}

test("paths and sizes of the HTTP receiver, and the sink's address and headers, are obeyed", async () => {
  const received: string[] = [];
  const arrived = Promise.withResolvers<void>();
  const sink = createServer((request, response) => {
    const { "x-team": team, "content-encoding": encoding = "none" } = request.headers;
    received.push(`${request.url} ${String(team)} ${encoding}`);
    request.resume().on("end", () => {
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
      arrived.resolve();
    });
  });
  await new Promise<void>((resolve) => sink.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    sink.closeAllConnections();
    sink.close();
  });
  const http = {
    endpoint: anyPort,
    traces_url_path: "/in/spans",
    max_request_body_size: "1MiB",
  };
  const { port } = sink.address() as AddressInfo;
  const sidecar = await startSidecar({
    config: {
      receivers: { otlp: { protocols: { grpc: { endpoint: anyPort }, http } } },
      exporters: {
        otlp_http: {
          traces_endpoint: `http://127.0.0.1:${port}/out/spans`,
          headers: { "x-team": "audit" },
          compression: "none",
        },
      },
      operations: { endpoint: anyPort },
    },
  });
  const address = sidecar.ready.endpoints.http;
  expect((await post(address, "/in/spans")).status).toBe(200);
  expect((await post(address, "/v1/traces")).status).toBe(404);
  expect((await post(address, "/in/spans", " ".repeat(1024 ** 2 + 1))).status).toBe(413);
  await arrived.promise;
  expect(received).toEqual(["/out/spans audit none"]);
  expect(await sidecar.stop()).toBe(0);
});
