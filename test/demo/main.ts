/**
 * `npm run demo`: the product in under a minute, without a network. A sidecar and a sink on
 * loopback, a small agent with the real OpenTelemetry SDK, the records it made, the verifier, and
 * what the verifier says when one byte was changed. Everything lies in a temporary folder.
 */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess, SpawnSyncOptions } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { stringify } from "yaml";
import { runAgent } from "./agent.ts";
import { startDemoSink } from "./sink.ts";

const main = join(import.meta.dirname, "../../src/cli/main.ts");
const folder = mkdtempSync(join(tmpdir(), "spanseal-demo-"));

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Runs a command as a reader would type it, and returns its exit code. */
function spanseal(...parameters: readonly string[]): number | null {
  say(`\n$ spanseal ${parameters.join(" ")}`);
  const options: SpawnSyncOptions = { cwd: folder, stdio: ["ignore", "inherit", "inherit"] };
  return spawnSync(process.execPath, [main, ...parameters], options).status;
}

function writeConfig(sinkEndpoint: string): void {
  const anyPort = { endpoint: "127.0.0.1:0" };
  const config = {
    receivers: { otlp: { protocols: { grpc: anyPort, http: anyPort } } },
    operations: anyPort,
    audit: { namespace: { from: ["service.namespace"] }, tenant: { from: ["tenant.id"] } },
    phi: {
      tables: [
        {
          match: { tools: ["lookup_patient"] },
          subject: "mrn",
          columns: {
            mrn: { class: "mrn", action: ["tokenize", "truncate:4"] },
            dob: { class: "phi", action: "drop" },
            ssn: { class: "us_ssn", action: "mask" },
            name: { class: "name", action: "mask" },
          },
        },
      ],
    },
    exporters: { otlp_http: { endpoint: sinkEndpoint } },
  };
  writeFileSync(join(folder, "spanseal.yaml"), stringify(config));
}

interface Ready {
  readonly endpoints: { readonly http: string };
}

async function startSidecar(): Promise<{ child: ChildProcess; ready: Ready }> {
  const child = spawn(process.execPath, [main, "serve", "--json", "--config", "spanseal.yaml"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  for await (const line of createInterface({ input: child.stdout })) {
    return { child, ready: JSON.parse(line) as Ready };
  }
  throw new Error(`the sidecar did not start: ${errors}`);
}

/** One hexadecimal digit or letter of one record becomes another, as a careful hand would do it. */
function changeOneByte(copy: string): void {
  const segments = join(copy, "ledger/segments");
  const path = join(segments, readdirSync(segments)[0]!);
  const bytes = Buffer.from(readFileSync(path));
  const place = bytes.indexOf("dr.miller");
  bytes[place] = "x".charCodeAt(0);
  rmSync(path);
  writeFileSync(path, bytes);
}

async function demo(): Promise<void> {
  say(`Everything below lies in ${folder}\n`);
  const sink = await startDemoSink();
  writeConfig(sink.endpoint);
  const { child, ready } = await startSidecar();
  say(`1. A sidecar receives on http://${ready.endpoints.http} and forwards to ${sink.endpoint}.`);
  say(
    "   An agent runs: a model call, a patient looked up, a deletion denied, a charge that fails.",
  );
  await runAgent(`http://${ready.endpoints.http}`);
  const received = await sink.firstRequest;
  say(`   The sink got ${received.spans} spans. In what it got, "jane.roe@example.com" is found`);
  say(
    `   ${received.countOf("jane.roe@example.com")} times and "[REDACTED:email]" ${received.countOf("[REDACTED:email]")} times.`,
  );

  say("\n2. What the agent did, as records:");
  spanseal("query", "--config", "spanseal.yaml", "--kind", "action");
  say("\n   The look-up, with the declared columns accounted for:");
  spanseal("query", "--config", "spanseal.yaml", "--tool", "lookup_patient", "--json");

  say(
    "\n3. The sidecar stops: it signs a last root and publishes it. Then the verifier reads all.",
  );
  const ended = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGTERM");
  await ended;
  await sink.close();
  const good = spanseal("verify", "--config", "spanseal.yaml");

  say("\n4. In a copy, one byte of one record is changed.");
  cpSync(join(folder, "spanseal-data"), join(folder, "copy"), { recursive: true });
  changeOneByte(join(folder, "copy"));
  const bad = spanseal("verify", "copy", "--config", "spanseal.yaml");
  if (good !== 0 || bad !== 1) throw new Error(`verify answered ${good} and ${bad}, not 0 and 1`);
  say(`\nLook around in ${folder}, or start for real: npm start`);
}

await demo();
