/** Whose record it is, and what of a tenant's data is left in it: names, declared columns, own rules. */
import * as grpc from "@grpc/grpc-js";
import { expect, onTestFinished, test } from "vitest";
import { spanseal } from "../cli/command.ts";
import { startHttpSink } from "../forward/http-sink-server.ts";
import type { HttpSinkServer } from "../forward/http-sink-server.ts";
import { decode } from "../redact/support.ts";
import { startSidecar } from "../service/sidecar-process.ts";
import type { SidecarProcess } from "../service/sidecar-process.ts";
import { attributes, encodeOtlp } from "../support/otlp-writer.ts";
import type { Plain } from "../support/otlp-writer.ts";
import { eventually, expectVerified, filesBelow, metricsOf, recordsOf } from "./observation.ts";
import {
  grpcOf,
  oneCall,
  postTo,
  requestName,
  resourceSpans,
  send,
  spanId,
  toolCall,
  traceRequest,
} from "./telemetry.ts";

const tenant = (name: string): Plain => ({ "tenant.id": name });

async function openSink(): Promise<HttpSinkServer> {
  const sink = await startHttpSink();
  onTestFinished(() => sink.close());
  return sink;
}

interface Printed {
  readonly namespace: string;
  readonly tenant: string;
  readonly sequence: number;
  readonly body: { readonly trace: { readonly name: string } };
}

async function query({ cwd }: SidecarProcess, ...filter: string[]): Promise<Printed[]> {
  const parameters = ["query", "--config", "spanseal.yaml", "--json", "--kind", "action"];
  const { stdout } = await spanseal([...parameters, ...filter], { cwd });
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Printed);
}

const namesOf = (records: readonly Printed[]): string[] =>
  records.map(({ body }) => body.trace.name);

test("one request of several namespaces and tenants becomes a chain of each", async () => {
  const sidecar = await startSidecar();
  const request = encodeOtlp(requestName.traces, {
    resourceSpans: [
      resourceSpans(
        [
          toolCall({ id: 1 }),
          toolCall({ id: 2, members: tenant("globex") }),
          { ...toolCall({ id: 3 }), traceId: Buffer.alloc(16, 3) },
        ],
        { "service.namespace": "shop", ...tenant("acme") },
      ),
      resourceSpans([{ ...toolCall({ id: 4 }), traceId: Buffer.alloc(16, 4) }], {
        "service.namespace": "clinic",
        ...tenant("acme"),
      }),
      resourceSpans([{ ...toolCall({ id: 5 }), traceId: Buffer.alloc(16, 5) }]),
    ],
  });
  expect(await send(sidecar, request)).toBe(200);
  const all = await query(sidecar);
  expect(all.map((one) => [one.body.trace.name, one.namespace, one.tenant, one.sequence])).toEqual([
    ["call 1", "shop", "acme", 1],
    ["call 2", "shop", "globex", 1],
    ["call 3", "shop", "acme", 2],
    ["call 4", "clinic", "acme", 1],
    ["call 5", "default", "default", 1],
  ]);
  expect(namesOf(await query(sidecar, "--tenant", "acme"))).toEqual(["call 1", "call 3", "call 4"]);
  expect(namesOf(await query(sidecar, "--namespace", "clinic"))).toEqual(["call 4"]);
  const both = ["--namespace", "shop", "--tenant", "globex"];
  expect(namesOf(await query(sidecar, ...both))).toEqual(["call 2"]);
  expect(await query(sidecar, "--tenant", "nobody")).toEqual([]);
  // Four chains of tenants and the sidecar's own.
  expect((await metricsOf(sidecar)).get("spanseal_ledger_chains")).toBe(5);
  expect(await sidecar.stop()).toBe(0);
  await expectVerified(sidecar.cwd);
});

test("the attributes that name namespace and tenant, and the names without them, are configured", async () => {
  const audit = {
    namespace: { from: ["team", "service.namespace"], default: "nobody" },
    tenant: { from: ["customer.id"], default: "house" },
  };
  const sidecar = await startSidecar({ config: { audit } });
  const resource = { "service.namespace": "shop", "tenant.id": "acme" };
  expect(await send(sidecar, traceRequest([toolCall({ id: 1 })], resource))).toBe(200);
  const more = { ...resource, team: "blue", "customer.id": 4711 };
  const other = { ...toolCall({ id: 2 }), traceId: Buffer.alloc(16, 2) };
  expect(await send(sidecar, traceRequest([other], more))).toBe(200);
  const all = await query(sidecar);
  expect(all.map((one) => [one.namespace, one.tenant])).toEqual([
    ["shop", "house"],
    ["blue", "4711"],
  ]);
  await sidecar.stop();
});

const badNames: readonly Plain[] = [
  { "service.namespace": "spanseal" },
  { "service.namespace": 'quoted"name' },
  { "service.namespace": "x".repeat(129) },
  tenant("back\\slash"),
  tenant("línea"),
  tenant("line\nfeed"),
];

test("a request with a bad name is refused whole, and the name is not repeated", async () => {
  const sink = await openSink();
  const config = { exporters: { otlp_http: { endpoint: sink.url } } };
  const sidecar = await startSidecar({ config });
  const exportTo = grpcOf(sidecar);
  for (const [at, resource] of badNames.entries()) {
    const body = encodeOtlp(requestName.traces, {
      resourceSpans: [
        resourceSpans([toolCall({ id: 10 * at })], tenant("good")),
        resourceSpans(
          [{ ...toolCall({ id: 10 * at + 1 }), traceId: Buffer.alloc(16, 9) }],
          resource,
        ),
      ],
    });
    const response = await postTo(sidecar, "traces", body);
    const answer = await response.text();
    expect([resource, response.status]).toEqual([resource, 400]);
    const outcome = await exportTo("traces", body);
    expect(outcome.code).toBe(grpc.status.INVALID_ARGUMENT);
    for (const text of [answer, outcome.message]) {
      expect(text).not.toMatch(/quoted|xxx|slash|línea|feed/);
    }
  }
  expect(await recordsOf(sidecar, "action")).toEqual([]);
  const rejected = 'spanseal_rejected_requests_total{code="bad_name",transport="http"}';
  expect((await metricsOf(sidecar)).get(rejected)).toBe(badNames.length);
  // What follows is not held up, and is the first that the sink sees.
  expect(await send(sidecar, oneCall({ id: 99 }))).toBe(200);
  await eventually(() => expect(sink.names).toEqual(["call 99"]));
  expect(await sidecar.stop()).toBe(0);
});

const phi = {
  tables: [
    {
      match: { collections: ["patients"], tools: ["lookup_patient"] },
      subject: "mrn",
      columns: {
        mrn: { class: "mrn", action: ["tokenize", "truncate:4"] },
        name: { class: "person_name", action: "mask" },
        dob: { class: "phi", action: "drop" },
      },
    },
  ],
};

const patients = [
  { mrn: "84736251", name: "Jane Roe", dob: "1984-02-29", city: "Springfield" },
  { mrn: "11223344", name: "John Doe", dob: "1971-11-03", city: "Shelbyville" },
];

/** A look-up by a tool, and the same rows by a query; `base` makes the span ids. */
function lookups(base: number, who: string): Uint8Array {
  const byTool = toolCall({
    id: base,
    name: "execute_tool lookup_patient",
    members: {
      "gen_ai.tool.name": "lookup_patient",
      "gen_ai.tool.call.result": JSON.stringify({ rows: patients }),
      "spanseal.phi.columns": "what the sender says",
    },
  });
  const byQuery = {
    ...toolCall({ id: base + 1 }),
    name: "SELECT patients",
    kind: 3,
    attributes: attributes({
      "db.system.name": "postgresql",
      "db.collection.name": "patients",
      "db.operation.name": "SELECT",
      "db.response.rows": JSON.stringify({
        columns: ["mrn", "city"],
        rows: patients.map(({ mrn, city }) => [mrn, city]),
      }),
    }),
  };
  const unrelated = toolCall({
    id: base + 2,
    members: { "gen_ai.tool.call.result": JSON.stringify([{ name: "a product", price: 3 }]) },
  });
  return traceRequest([byTool, byQuery, unrelated], tenant(who));
}

interface ForwardedSpan {
  readonly spanId: string;
  readonly attributes: readonly { readonly key: string; readonly value: object }[];
}

function spansOf(bytes: Uint8Array): Map<string, Map<string, object>> {
  const request = decode("traces", bytes) as {
    resourceSpans: { scopeSpans: { spans: ForwardedSpan[] }[] }[];
  };
  const spans = request.resourceSpans.flatMap(({ scopeSpans }) =>
    scopeSpans.flatMap(({ spans: own }) => own),
  );
  return new Map(
    spans.map((span) => [
      Buffer.from(span.spanId, "base64").toString("hex"),
      new Map(span.attributes.map(({ key, value }) => [key, value])),
    ]),
  );
}

const list = (...texts: string[]): object => ({
  arrayValue: { values: texts.map((stringValue) => ({ stringValue })) },
});

/** The tokens in a text, in order. */
const tokensIn = (text: string): string[] =>
  text.match(/tok_mrn_\w+?_[0-9a-f]{4}(?![0-9a-f])/g) ?? [];

test("declared columns are treated and counted, on the record and on the forwarded span", async () => {
  const sink = await openSink();
  const exporters = { otlp_http: { endpoint: sink.url } };
  const sidecar = await startSidecar({ config: { phi, exporters } });
  expect(await send(sidecar, lookups(10, "acme"))).toBe(200);
  await eventually(() => expect(sink.taken).toHaveLength(1));
  const [byTool, byQuery, unrelated] = await recordsOf(sidecar, "action");
  expect(byTool!.body).toMatchObject({
    tool: { name: "lookup_patient" },
    data: { phi: { columns: ["dob", "mrn", "name"], columns_returned: 3, rows: 2 } },
  });
  expect(byQuery!.body).toMatchObject({
    action: { type: "data_access" },
    data: { collection: "patients", phi: { columns: ["mrn"], columns_returned: 1, rows: 2 } },
  });
  expect(unrelated!.body).not.toHaveProperty("data.phi");
  const result = JSON.parse(byTool!.body.content.result) as { rows: Plain[] };
  expect(result.rows).toEqual(
    patients.map(({ city }) => ({
      mrn: expect.stringMatching(/^tok_mrn_/) as string,
      name: "[REDACTED:person_name]",
      city,
    })),
  );
  const trail = byTool!.body.redaction as { rule: string; action: string; count: number }[];
  for (const [rule, action] of [
    ["phi.mrn", "tokenize,truncate:4"],
    ["phi.name", "mask"],
    ["phi.dob", "drop"],
  ]) {
    expect(trail).toContainEqual(expect.objectContaining({ rule, action, count: 2 }));
  }

  const forwarded = spansOf(sink.taken[0]!.bytes);
  const span = (id: number): Map<string, object> => forwarded.get(spanId(id).toString("hex"))!;
  expect(span(10).get("spanseal.phi.columns_returned")).toEqual({ intValue: "3" });
  expect(span(10).get("spanseal.phi.columns")).toEqual(list("dob", "mrn", "name"));
  expect(span(10).get("spanseal.record.id")).toEqual(list(byTool!.id));
  expect(span(11).get("spanseal.phi.columns")).toEqual(list("mrn"));
  expect(span(12).has("spanseal.phi.columns")).toBe(false);
  expect(await sidecar.stop()).toBe(0);
  const everything = [sink.taken[0]!, ...filesBelow(sidecar.cwd)];
  for (const { mrn, name, dob } of patients) {
    for (const value of [mrn, name, dob]) {
      expect(everything.filter(({ bytes }) => bytes.includes(value))).toEqual([]);
    }
  }
});

test("one value has one token in a tenant, and another in the next", async () => {
  const sidecar = await startSidecar({ config: { phi } });
  for (const [base, who] of [
    [10, "acme"],
    [20, "globex"],
    [30, "acme"],
  ] as const) {
    expect(await send(sidecar, lookups(base, who))).toBe(200);
  }
  const records = await recordsOf(sidecar, "action");
  const byTool = records.filter(({ body }) => body.tool?.name === "lookup_patient");
  const tokens = byTool.map(({ body }) => tokensIn(body.content.result as string));
  expect(tokens.map((own) => new Set(own).size)).toEqual([2, 2, 2]);
  expect(tokens[0]).toEqual(tokens[2]);
  expect(tokens[0]).not.toEqual(tokens[1]);
  // Joined with what the query returned: the same patient in two ways.
  const byQuery = records.find(({ body }) => body.data?.collection === "patients");
  expect(tokensIn(JSON.stringify(byQuery!.body))).toEqual(expect.arrayContaining(tokens[0]!));
  await sidecar.stop();
});

test("own rules come before the packs, and a tokenised name is found by its plain form", async () => {
  const sink = await openSink();
  const redaction = {
    packs: ["core"],
    rules: [
      { id: "employee", pattern: "EMP-\\d{6}", class: "employee_id", action: "mask" },
      { id: "badge", pattern: "BADGE-[A-Z0-9]{10}", class: "badge", action: "tokenize" },
    ],
  };
  const exporters = { otlp_http: { endpoint: sink.url } };
  const sidecar = await startSidecar({ config: { redaction, exporters } });
  for (const [id, who] of [
    [1, "acme"],
    [2, "globex"],
  ] as const) {
    const members = {
      ...tenant(who),
      "user.id": "BADGE-A1B2C3D4E5",
      "gen_ai.tool.call.arguments": '{"who":"EMP-123456","mail":"jane.roe@example.com"}',
    };
    const span = { ...toolCall({ id, members }), traceId: Buffer.alloc(16, id) };
    expect(await send(sidecar, traceRequest([span]))).toBe(200);
  }
  const records = await recordsOf(sidecar, "action");
  const users = records.map(({ body }) => body.actor.user.id as string);
  for (const user of users) expect(user).toMatch(/^tok_badge_[0-9a-f]{8}_[0-9a-f]{32}$/);
  expect(new Set(users).size).toBe(2);
  expect(records[0]!.body.content.arguments).toBe(
    '{"who":"[REDACTED:employee_id]","mail":"[REDACTED:email]"}',
  );
  expect(records[0]!.body.redaction).toContainEqual(
    expect.objectContaining({ rule: "employee", action: "mask", count: 1 }),
  );
  const counted = await metricsOf(sidecar);
  expect(counted.get('spanseal_redactions_total{class="employee_id"}')).toBe(2);
  const found = await query(sidecar, "--user", "BADGE-A1B2C3D4E5");
  expect(namesOf(found)).toEqual(["call 1", "call 2"]);
  const one = await query(sidecar, "--user", "BADGE-A1B2C3D4E5", "--tenant", "globex");
  expect(namesOf(one)).toEqual(["call 2"]);
  await eventually(() => expect(sink.taken).toHaveLength(2));
  expect(sink.taken[0]!.bytes.includes(users[0]!)).toBe(true);
  expect(sink.taken[0]!.bytes.toString("latin1")).not.toMatch(/EMP-123456|BADGE-A1/);
  expect(await sidecar.stop()).toBe(0);
});
