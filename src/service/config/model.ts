/** The configuration once read: defaults filled in, durations in milliseconds, sizes in bytes. */
import type { Endpoint } from "./values.ts";

interface ServerTlsConfig {
  readonly cert_file: string;
  readonly key_file: string;
  readonly client_ca_file?: string | undefined;
  /** Milliseconds; 0 reads the files once. */
  readonly reload_interval: number;
}

interface ReceiverAuthConfig {
  readonly bearer_token_file: string;
}

export interface GrpcReceiverConfig {
  readonly endpoint: Endpoint;
  readonly tls?: ServerTlsConfig | undefined;
  readonly auth?: ReceiverAuthConfig | undefined;
  readonly max_recv_msg_size_mib: number;
}

export interface HttpReceiverConfig {
  readonly endpoint: Endpoint;
  readonly tls?: ServerTlsConfig | undefined;
  readonly auth?: ReceiverAuthConfig | undefined;
  /** Bytes, before and after inflation. */
  readonly max_request_body_size: number;
  readonly traces_url_path: string;
  readonly logs_url_path: string;
  readonly metrics_url_path: string;
}

export interface ReceiversConfig {
  readonly otlp: {
    readonly protocols: {
      readonly grpc?: GrpcReceiverConfig | undefined;
      readonly http?: HttpReceiverConfig | undefined;
    };
  };
}

export interface NameConfig {
  readonly from: readonly string[];
  readonly default: string;
}

interface AuditConfig {
  readonly namespace: NameConfig;
  readonly tenant: NameConfig;
  readonly data_access: "all" | "agent" | "none";
}

interface ClientTlsConfig {
  readonly insecure: boolean;
  readonly insecure_skip_verify: boolean;
  readonly ca_file?: string | undefined;
  readonly cert_file?: string | undefined;
  readonly key_file?: string | undefined;
  readonly server_name_override?: string | undefined;
}

export interface RetryConfig {
  readonly enabled: boolean;
  /** Milliseconds. */
  readonly initial_interval: number;
  readonly randomization_factor: number;
  readonly multiplier: number;
  readonly max_interval: number;
  /** Milliseconds after which a request is given up; 0 never gives up. */
  readonly max_elapsed_time: number;
}

export interface QueueConfig {
  readonly sizer: "bytes";
  /** Bytes, per signal. */
  readonly queue_size: number;
  readonly num_consumers: number;
  readonly on_full: "refuse" | "suspend";
}

export interface ExporterConfig {
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: "gzip" | "none";
  readonly timeout: number;
  readonly tls?: ClientTlsConfig | undefined;
  readonly retry_on_failure: RetryConfig;
  readonly sending_queue: QueueConfig;
}

export interface HttpExporterConfig extends ExporterConfig {
  readonly endpoint?: string | undefined;
  readonly traces_endpoint?: string | undefined;
  readonly logs_endpoint?: string | undefined;
  readonly metrics_endpoint?: string | undefined;
}

interface GrpcExporterConfig extends ExporterConfig {
  readonly endpoint: string;
}

export interface ExportersConfig {
  readonly otlp_http?: HttpExporterConfig | undefined;
  readonly otlp_grpc?: GrpcExporterConfig | undefined;
  readonly stamp: boolean;
}

interface RedactionRuleConfig {
  readonly id: string;
  readonly pattern: string;
  readonly class: string;
  readonly action: string | readonly string[];
  readonly keys?: readonly string[] | undefined;
  readonly context?: readonly string[] | undefined;
}

interface PhiColumnConfig {
  readonly class: string;
  readonly action: string | readonly string[];
}

export interface PhiTableConfig {
  readonly match: { readonly collections: readonly string[]; readonly tools: readonly string[] };
  readonly subject?: string | undefined;
  readonly columns: Readonly<Record<string, PhiColumnConfig>>;
}

export interface RedactionConfig {
  readonly packs: readonly string[];
  readonly rules: readonly RedactionRuleConfig[];
}

interface LedgerConfig {
  readonly directory: string;
  readonly origin: string;
  readonly on_failure: "closed";
  readonly segment: {
    /** Bytes. */
    readonly max_size: number;
    /** Milliseconds. */
    readonly max_age: number;
  };
}

interface PublishConfig {
  /** A directory. */
  readonly bucket: string;
  /** Milliseconds. */
  readonly interval: number;
  readonly every_records: number;
  /** Milliseconds of root lag beyond which ingestion is refused. */
  readonly max_lag?: number | undefined;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface Config {
  readonly receivers: ReceiversConfig;
  readonly audit: AuditConfig;
  readonly redaction: RedactionConfig;
  readonly phi: { readonly tables: readonly PhiTableConfig[] };
  readonly ledger: LedgerConfig;
  readonly keys: { readonly directory: string };
  readonly publish: PublishConfig;
  readonly exporters: ExportersConfig;
  readonly operations: { readonly endpoint: Endpoint };
  readonly compliance: { readonly mode: "soc2" };
  readonly service: {
    /** Threads that map and redact; 0 where that is done where requests are received. */
    readonly workers: number;
    readonly telemetry: { readonly logs: { readonly level: LogLevel } };
  };
}
