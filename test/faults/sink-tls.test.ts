/** Certificates that do not fit, and protocols that do not: until somebody mends it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { newAuthority } from "../ingest/certificate.ts";
import type { Authority, Certificate } from "../ingest/certificate.ts";
import type { Plain } from "../support/otlp-writer.ts";
import { sinkKinds } from "./sinks.ts";
import type { ServerTls, SinkKind } from "./sinks.ts";
import { conclude, kept, quick, Trial } from "./trial.ts";

type State = "retrying" | "held";

interface Mismatch {
  readonly name: string;
  /** What the sidecar expects; undefined: plain text. */
  readonly client: "trusting" | "plain";
  /** What the sink has at first, and after it was mended; undefined: plain text. */
  readonly wrong: ServerTls | undefined;
  readonly right: ServerTls | undefined;
  readonly state: State | Readonly<Record<SinkKind["name"], State>>;
  readonly reason: RegExp;
}

const ours = newAuthority("ours");
const theirs = newAuthority("theirs");
const good = ours.issue("sink");

const mismatches: readonly Mismatch[] = [
  {
    name: "authority unknown",
    wrong: theirs.issue("sink"),
    reason: /UNABLE_TO_VERIFY_LEAF_SIGNATURE/,
  },
  {
    name: "another host's name",
    wrong: ours.issue("sink", { host: "elsewhere.example" }),
    reason: /ERR_TLS_CERT_ALTNAME_INVALID/,
  },
  {
    name: "expired",
    wrong: ours.issue("sink", { isExpired: true }),
    reason: /CERT_HAS_EXPIRED/,
  },
].map((mismatch) => ({ ...mismatch, client: "trusting", right: good, state: "held" }));

const protocols: readonly Mismatch[] = [
  {
    name: "client certificate required",
    client: "trusting",
    wrong: { ...good, clientCa: theirs.certificate },
    right: good,
    state: "held",
    reason: /ALERT_CERTIFICATE_REQUIRED/,
  },
  {
    name: "TLS to a port that speaks plain text",
    client: "trusting",
    wrong: undefined,
    right: good,
    state: "retrying",
    reason: /WRONG_VERSION_NUMBER|EPROTO|ECONNRESET/,
  },
  {
    name: "plain text to a port that speaks TLS",
    client: "plain",
    wrong: good,
    right: undefined,
    state: "retrying",
    reason: /ECONNRESET|ERR_HTTP2|network error/,
  },
];

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "spanseal-tls-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Options that trust this authority. */
function trusting({ certificate }: Authority, path = join(folder(), "ca.pem")): Plain {
  writeFileSync(path, certificate);
  return { ca_file: path };
}

function configOf(kind: SinkKind, port: number, tls: Plain | undefined): Plain {
  const more = { timeout: "2s", retry_on_failure: quick, ...(tls === undefined ? {} : { tls }) };
  return { exporters: kind.exporters(`127.0.0.1:${port}`, more) };
}

describe.each(sinkKinds)("$name sink, TLS", (kind) => {
  test.for([...mismatches, ...protocols])("$name", async (mismatch, context) => {
    const { client, wrong, right, reason } = mismatch;
    const state = typeof mismatch.state === "string" ? mismatch.state : mismatch.state[kind.name];
    const broken = await kind.open(wrong === undefined ? {} : { tls: wrong });
    const tls = client === "plain" ? undefined : trusting(ours);
    const trial = await Trial.start(configOf(kind, broken.port, tls));
    await trial.sendAll(3);
    await trial.waitUntil(state, reason);
    await trial.kill();
    await trial.sendAll(2);
    await trial.waitUntil(state, reason);
    expect(broken.arrived()).toBe(0);
    await broken.close();
    const { port } = broken;
    trial.sinks.push(await kind.open({ port, ...(right === undefined ? {} : { tls: right }) }));
    expect(await conclude(trial, context)).toMatchObject(kept);
  });

  test("certificate rotated meanwhile", async (context) => {
    const sink = await kind.open({ tls: good });
    const trial = await Trial.start(configOf(kind, sink.port, trusting(ours)), sink);
    await trial.sendAll(3);
    await trial.settle();
    await sink.close();
    await trial.sendAll(3);
    trial.sinks.push(await kind.open({ port: sink.port, tls: ours.issue("sink") }));
    expect(await conclude(trial, context)).toMatchObject(kept);
  });

  test("authority rotated meanwhile, and with it ca_file", async (context) => {
    const sink = await kind.open({ tls: good });
    const caFile = join(folder(), "ca.pem");
    const trial = await Trial.start(configOf(kind, sink.port, trusting(ours, caFile)), sink);
    await trial.sendAll(3);
    await trial.settle();
    await sink.close();
    trial.sinks.push(await kind.open({ port: sink.port, tls: theirs.issue("sink") }));
    await trial.sendAll(3);
    await trial.waitUntil("held", /certificate|LEAF_SIGNATURE/);
    trusting(theirs, caFile);
    expect(await conclude(trial, context)).toMatchObject(kept);
  });

  test("client certificate replaced meanwhile, and no longer trusted", async (context) => {
    const place = folder();
    const [certFile, keyFile] = [join(place, "client.pem"), join(place, "client.key.pem")];
    const present = ({ certificate, key }: Certificate): void => {
      writeFileSync(certFile, certificate);
      writeFileSync(keyFile, key);
    };
    present(ours.issue("agent"));
    const sink = await kind.open({ tls: { ...good, clientCa: ours.certificate } });
    const tls = { ...trusting(ours), cert_file: certFile, key_file: keyFile };
    const trial = await Trial.start(configOf(kind, sink.port, tls), sink);
    await trial.sendAll(3);
    await trial.settle();
    present(theirs.issue("agent"));
    await sink.close();
    trial.sinks.push(
      await kind.open({ port: sink.port, tls: { ...good, clientCa: theirs.certificate } }),
    );
    await trial.sendAll(3);
    expect(await conclude(trial, context)).toMatchObject(kept);
  });
});
