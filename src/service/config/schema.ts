/**
 * The schema of the configuration file, one documented key after another. It is at once the
 * validator, the source of `config schema` and the way back for `config print`.
 */
import { z } from "zod";
import { nameProblem, reservedNamespace } from "../../audit/names.ts";
import { isOrigin } from "../../ledger/descriptor.ts";
import * as limits from "../../limits.ts";
import { exportersSchema } from "./exporters.ts";
import type { Config, NameConfig } from "./model.ts";
import { phiSchema, redactionSchema } from "./redaction.ts";
import { receiversSchema } from "./receivers.ts";
import {
  byteSize,
  duration,
  endpoint,
  formatBytes,
  formatDuration,
  hourMs,
  integer,
  mib,
  refuse,
  text,
} from "./values.ts";

/** Where everything lives unless the file or an option says otherwise. */
export const defaultDataDirectory = "./spanseal-data";

const audit = z.strictObject({
  namespace: nameRule("service.namespace", "namespace")
    .prefault({})
    .describe("The namespace of a record."),
  tenant: nameRule("tenant.id", "tenant").prefault({}).describe("The tenant of a record."),
  data_access: z
    .enum(["all", "agent", "none"])
    .prefault("all")
    .describe("Data access to record: all, only that of an agent's trace, or none."),
});

const ledger = z.strictObject({
  directory: text()
    .prefault(`${defaultDataDirectory}/ledger`)
    .describe("Folder of the ledger. Relative paths are relative to the working directory."),
  origin: checked((input) => isOrigin(input), {
    expected: "a name like a URL without its scheme",
    hint: "write for example audit.example.com/prod",
  })
    .prefault("spanseal.local")
    .describe("Base of the log's name in checkpoints; each ledger adds its own instance."),
  on_failure: enumeration(["closed"], {
    degraded:
      "forwarding what could not be recorded is not available in this version; write closed",
  })
    .prefault("closed")
    .describe("When a record cannot be made durable: `closed` asks the sender to retry."),
  segment: z
    .strictObject({
      max_size: byteSize({ min: mib, max: 1024 * mib })
        .prefault(formatBytes(limits.segmentBytesMax))
        .describe("Size at which a segment file is closed."),
      max_age: duration({ min: 60_000, max: 366 * 24 * hourMs })
        .prefault(formatDuration(limits.segmentAgeMsMax))
        .describe("Age at which a segment file is closed."),
    })
    .prefault({})
    .describe("The files that the ledger consists of."),
});

const publish = z.strictObject({
  bucket: bucket()
    .prefault(`${defaultDataDirectory}/bucket`)
    .describe("Where signed roots and tiles are committed: a directory."),
  interval: duration({ min: 1000, max: 24 * hourMs })
    .prefault("10m")
    .describe("Time between two signed roots, also when idle."),
  every_records: integer({ min: 1, max: 1_000_000 })
    .prefault(limits.checkpointRecordsMax)
    .describe("Number of records after which a root is signed before its time."),
  max_lag: duration({ min: 1000, max: 365 * 24 * hourMs })
    .optional()
    .describe("Refuse ingestion while the bucket is behind by more than this. Off by default."),
});

const compliance = z.strictObject({
  mode: enumeration(["soc2"], {
    none: "running without synced writes is not available in this version; write soc2",
    hipaa: "the hipaa mode is not available in this version; write soc2",
  })
    .prefault("soc2")
    .describe("`soc2`: every record is synced to disk before the sender is answered."),
});

const service = z.strictObject({
  workers: integer({ min: 0, max: limits.threadsMax })
    .prefault(0)
    .describe(
      "Threads that map and redact; a connection stays with one of them. 0 needs one core.",
    ),
  telemetry: z
    .strictObject({
      logs: z
        .strictObject({
          level: z
            .enum(["debug", "info", "warn", "error"])
            .prefault("info")
            .describe("The least severe messages to log."),
        })
        .prefault({})
        .describe("Spanseal's own log, JSON lines on stderr, never with payloads."),
    })
    .prefault({})
    .describe("What Spanseal says about itself. It is never sent anywhere."),
});

/** The whole file. */
export const configSchema: z.ZodType<Config> = z.strictObject({
  receivers: receiversSchema.prefault({ otlp: {} }).describe("Where telemetry comes in."),
  audit: audit.prefault({}).describe("What becomes a record, and whose."),
  redaction: redactionSchema.prefault({}).describe("What is removed before anything is written."),
  phi: phiSchema.prefault({}).describe("Protected health information: declared columns."),
  ledger: ledger.prefault({}).describe("The append-only log on this machine."),
  keys: z
    .strictObject({
      directory: text()
        .prefault("./spanseal-keys")
        .describe("Folder of the keys. It belongs neither into the ledger nor into its backup."),
    })
    .prefault({})
    .describe("The keys that seal the log."),
  publish: publish.prefault({}).describe("Committing signed roots outside of the ledger."),
  exporters: exportersSchema.prefault({}).describe("Your own OTLP sink. None by default."),
  operations: z
    .strictObject({
      endpoint: endpoint()
        .prefault("127.0.0.1:4319")
        .describe("Address of /healthz, /readyz and /metrics, `host:port`."),
    })
    .prefault({})
    .describe("Health, readiness and metrics."),
  compliance: compliance.prefault({}).describe("How strict the ledger is."),
  service: service.prefault({}).describe("The process itself."),
});

/** Keys of the design that this version does not have, with what to do instead. */
export const laterKeys: Readonly<Record<string, string>> = {
  api: "reading records over HTTP is not available in this version; use spanseal query",
  store: "the file ledger is the only store of this version; remove this key",
};

/**
 * One of `values`. The ones in `later` are known but not available: they get their own message.
 */
function enumeration<const Value extends string>(
  values: readonly Value[],
  later: Readonly<Record<string, string>>,
): z.ZodType<Value, string> {
  return z.codec(z.string(), z.custom<Value>(), {
    decode: (input, context) => {
      const found = values.find((value) => value === input);
      if (found !== undefined) return found;
      const remedy = later[input];
      if (remedy !== undefined) return refuse(context, input, values.join(" or "), remedy);
      return refuse(context, input, values.join(" or "), `write ${values.join(" or ")}`);
    },
    encode: (value) => value,
  });
}

function nameRule(key: string, what: "namespace" | "tenant"): z.ZodType<NameConfig, NameInput> {
  return z.strictObject({
    from: z
      .array(text())
      .prefault([key])
      .describe(`Attributes that name the ${what}; the first present one wins.`),
    default: checked((input) => nameProblem(what, input) === undefined, {
      expected: "1 to 128 characters of printable ASCII",
      hint: `write a name without quotes, back-slashes and spaces at its ends, not ${reservedNamespace}`,
    })
      .prefault("default")
      .describe(`The ${what} of records that name none.`),
  });
}

interface NameInput {
  readonly from?: string[] | undefined;
  readonly default?: string | undefined;
}

function checked(
  holds: (input: string) => boolean,
  words: { readonly expected: string; readonly hint: string },
): z.ZodType<string, string> {
  return z.codec(z.string(), z.string(), {
    decode: (input, context) =>
      holds(input) ? input : refuse(context, input, words.expected, words.hint),
    encode: (value) => value,
  });
}

function bucket(): z.ZodType<string, string> {
  return z.codec(z.string().min(1), z.string(), {
    decode: (input, context) => {
      const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(input)?.[1]?.toLowerCase();
      if (scheme === undefined) return input;
      const hint =
        scheme === "s3"
          ? "s3:// buckets are not available in this version; write a directory"
          : "write a directory, for example ./spanseal-data/bucket";
      return refuse(context, input, "a directory", hint);
    },
    encode: (value) => value,
  });
}
