/** What the operator is told of what he has opened to others. */
import { expect, test } from "vitest";
import { parseConfig } from "../../src/service/config.ts";
import { exposures } from "../../src/service/receiving.ts";

const tls = "cert_file: cert.pem, key_file: key.pem";

test.each([
  ["", []],
  ["grpc: { endpoint: 'localhost:4317' }, http: { endpoint: '[::1]:4318' }", []],
  [
    "http: { endpoint: '0.0.0.0:4318' }",
    ["http receives in plain text: set tls", "http takes records from everybody: set auth"],
  ],
  [`grpc: { endpoint: '0.0.0.0:4317', tls: { ${tls} } }`, ["grpc takes records from everybody"]],
  [`grpc: { endpoint: '0.0.0.0:4317', tls: { ${tls}, client_ca_file: ca.pem } }`, []],
  [
    "http: { endpoint: '10.0.0.1:4318', auth: { bearer_token_file: token } }",
    ["http receives in plain text"],
  ],
])("receivers { %s } are open in these ways", (protocols, expected) => {
  const yaml = protocols === "" ? "" : `receivers: { otlp: { protocols: { ${protocols} } } }`;
  const places = expected.map((words) => `receivers.otlp.protocols.${words}`);
  const found = exposures(parseConfig(yaml).config);
  expect(found).toEqual(places.map((words) => expect.stringContaining(words)));
});

test("a sink that nobody has to prove is told", () => {
  const sink = "endpoint: 'https://sink.example', tls: { insecure_skip_verify: true }";
  const { config } = parseConfig(`exporters: { otlp_http: { ${sink} } }`);
  expect(exposures(config)).toEqual([
    "exporters.otlp_http sends to whoever answers there: set tls.ca_file instead",
  ]);
});
