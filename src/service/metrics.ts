/** Prometheus metrics. Every label has a bounded set of values. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import { redactionClassLabelsMax } from "../limits.ts";
import { unreadyReasons } from "./state.ts";
import type { SidecarState } from "./state.ts";

/** Told once per request, when its outcome is known. */
interface RequestOutcome {
  readonly signal: string;
  readonly transport: string;
  /** `ok`, or why it was refused. */
  readonly code: string;
  readonly bytes: number;
  readonly items?: number;
}

/** Told once per request that is durable. */
interface CommitOutcome {
  readonly recorded: number;
  readonly repeated: number;
  readonly conflicts: number;
  readonly redactionsByClass: Readonly<Record<string, number>>;
  readonly seconds: number;
}

export interface Metrics {
  request(outcome: RequestOutcome): void;
  /** Told once per connection that was closed for what its sender does. */
  connectionClosed(closed: { readonly transport: string; readonly reason: string }): void;
  commit(outcome: CommitOutcome): void;
  /** The exposition text and its content type. */
  expose(): Promise<{ text: string; contentType: string }>;
}

const commitSeconds = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** @param observe the state at this moment, asked at each scrape */
export function createMetrics(observe: () => SidecarState): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = requestCounters(registry);
  const commits = commitCounters(registry);
  const closed = new Counter({
    name: "spanseal_closed_connections_total",
    help: "Connections closed for what their sender does, by reason.",
    labelNames: ["reason", "transport"] as const,
    registers: [registry],
  });
  const refreshState = stateGauges(registry);
  return {
    request(outcome) {
      const { signal, transport, code, bytes, items = 0 } = outcome;
      requests.requests.inc({ signal, transport });
      requests.bytes.inc({ signal, transport }, bytes);
      if (code === "ok") requests.items.inc({ signal, transport }, items);
      else requests.rejected.inc({ code, transport });
    },
    connectionClosed: ({ transport, reason }) => closed.inc({ transport, reason }),
    commit: commits,
    async expose() {
      refreshState(observe());
      return { text: await registry.metrics(), contentType: registry.contentType };
    },
  };
}

function requestCounters(registry: Registry): {
  requests: Counter<"signal" | "transport">;
  bytes: Counter<"signal" | "transport">;
  items: Counter<"signal" | "transport">;
  rejected: Counter<"code" | "transport">;
} {
  const registers = [registry];
  const labelNames = ["signal", "transport"] as const;
  return {
    requests: new Counter({
      name: "spanseal_received_requests_total",
      help: "OTLP requests received, accepted or not.",
      labelNames,
      registers,
    }),
    bytes: new Counter({
      name: "spanseal_received_bytes_total",
      help: "Bytes of request bodies received, as sent.",
      labelNames,
      registers,
    }),
    items: new Counter({
      name: "spanseal_received_items_total",
      help: "Spans, log records and metrics of acknowledged requests.",
      labelNames,
      registers,
    }),
    rejected: new Counter({
      name: "spanseal_rejected_requests_total",
      help: "Requests that were not acknowledged, by reason.",
      labelNames: ["code", "transport"] as const,
      registers,
    }),
  };
}

function commitCounters(registry: Registry): (outcome: CommitOutcome) => void {
  const registers = [registry];
  const records = new Counter({
    name: "spanseal_records_total",
    help: "Audit records: appended, repeats of a record, same id with other content.",
    labelNames: ["result"] as const,
    registers,
  });
  const redactions = new Counter({
    name: "spanseal_redactions_total",
    help: "Values redacted, by class.",
    labelNames: ["class"] as const,
    registers,
  });
  const duration = new Histogram({
    name: "spanseal_commit_duration_seconds",
    help: "Time from a prepared request to its durable records.",
    buckets: commitSeconds,
    registers,
  });
  for (const result of ["appended", "repeated", "conflict"]) records.inc({ result }, 0);
  const classes = new Set<string>();
  return ({ recorded, repeated, conflicts, redactionsByClass, seconds }) => {
    records.inc({ result: "appended" }, recorded);
    records.inc({ result: "repeated" }, repeated);
    records.inc({ result: "conflict" }, conflicts);
    for (const [name, count] of Object.entries(redactionsByClass)) {
      if (classes.size < redactionClassLabelsMax) classes.add(name);
      redactions.inc({ class: classes.has(name) ? name : "other" }, count);
    }
    duration.observe(seconds);
  };
}

type SetGauge = (value: number, label?: string) => void;

function gauge(registry: Registry, name: string, help: string, label?: string): SetGauge {
  const labelNames = label === undefined ? [] : [label];
  const made = new Gauge({ name, help, labelNames, registers: [registry] });
  return (value, labelValue) => {
    if (label === undefined || labelValue === undefined) made.set(value);
    else made.set({ [label]: labelValue }, value);
  };
}

function stateGauges(registry: Registry): (state: SidecarState) => void {
  const ready = gauge(registry, "spanseal_ready", "1 where /readyz says ready.");
  const setLedger = ledgerGauges(registry);
  const setPublish = publishGauges(registry);
  const setForward = forwardMetrics(registry);
  return (state) => {
    ready(unreadyReasons(state).length === 0 ? 1 : 0);
    setLedger(state);
    setPublish(state);
    setForward(state);
  };
}

function ledgerGauges(registry: Registry): (state: SidecarState) => void {
  const stateOf = gauge(registry, "spanseal_ledger_state", "1 for the ledger's state.", "state");
  const size = gauge(registry, "spanseal_ledger_records", "Size of the log: the next index.");
  const chains = gauge(registry, "spanseal_ledger_chains", "Chains of the ledger.");
  const queued = gauge(registry, "spanseal_commit_queue_bytes", "Bytes that wait for a commit.");
  return ({ ledger }) => {
    for (const name of ["open", "recovering", "stopped", "closed"]) {
      stateOf(ledger.state === name ? 1 : 0, name);
    }
    size(ledger.size);
    chains(ledger.chainCount);
    queued(ledger.queuedBytes);
  };
}

function publishGauges(registry: Registry): (state: SidecarState) => void {
  const published = gauge(
    registry,
    "spanseal_published_records",
    "Size of the newest published root.",
  );
  const lagSeconds = gauge(
    registry,
    "spanseal_root_lag_seconds",
    "Age of the oldest record that no published root covers.",
  );
  const lagRecords = gauge(
    registry,
    "spanseal_root_lag_records",
    "Records that no published root covers.",
  );
  return ({ publish }) => {
    published(publish.publishedSize ?? 0);
    lagSeconds(publish.lagMs / 1000);
    lagRecords(publish.lagRecords);
  };
}

function forwardMetrics(registry: Registry): (state: SidecarState) => void {
  const bytes = gauge(
    registry,
    "spanseal_forward_queue_bytes",
    "Bytes that wait for the sink.",
    "signal",
  );
  const requests = gauge(
    registry,
    "spanseal_forward_queue_requests",
    "Requests that wait for the sink.",
    "signal",
  );
  const held = gauge(registry, "spanseal_forward_held", "1 where forwarding is held.", "signal");
  const forwarded = new Counter({
    name: "spanseal_forwarded_requests_total",
    help: "Requests since the start that the sink took, refused, or that were left out.",
    labelNames: ["signal", "result"] as const,
    registers: [registry],
  });
  return ({ forward, unsent }) => {
    forwarded.reset();
    for (const left of unsent) {
      bytes(left.bytes, left.signal);
      requests(left.requests, left.signal);
    }
    for (const [signal, status] of Object.entries(forward?.signals ?? {})) {
      bytes(status.queueBytes, signal);
      requests(status.queueEntries, signal);
      held(status.state === "held" ? 1 : 0, signal);
      forwarded.inc({ signal, result: "sent" }, status.sent);
      forwarded.inc({ signal, result: "rejected" }, status.rejected);
      forwarded.inc({ signal, result: "suspended" }, status.skipped);
    }
  };
}
