/**
 * The scalars of the configuration: durations, sizes, addresses. Each is a codec, so that what was
 * read prints back as a user would write it.
 */
import { z } from "zod";

/** A listening address. */
export interface Endpoint {
  /** Without brackets for IPv6. */
  readonly host: string;
  readonly port: number;
}

export const hourMs = 3_600_000;
export const mib: number = 1024 ** 2;
export const gib: number = 1024 ** 3;

const unitsMs = { d: 24 * hourMs, h: hourMs, m: 60_000, s: 1000, ms: 1 } as const;
const unitsBytes = { GiB: gib, MiB: mib, KiB: 1024, B: 1 } as const;

/** What an integer may be, both ends included. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** Milliseconds of `10m`, `1h30m`, `500ms` or `0`; undefined where `text` is none of that. */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  if (!/^(?:\d+(?:\.\d+)?(?:ms|d|h|m|s))+$/.test(text)) return undefined;
  let milliseconds = 0;
  for (const [, count, unit] of text.matchAll(/([\d.]+)(ms|d|h|m|s)/g)) {
    milliseconds += Number(count) * unitsMs[unit as keyof typeof unitsMs];
  }
  return Number.isSafeInteger(milliseconds) ? milliseconds : undefined;
}

/** The shortest spelling of a duration, e.g. `1h30m`. */
export function formatDuration(milliseconds: number): string {
  return formatUnits(milliseconds, unitsMs) || "0s";
}

/** Bytes of `64MiB`, `512KiB` or `1048576`; undefined where `text` is none of that. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+)\s?(GiB|MiB|KiB|B)?$/.exec(text);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * unitsBytes[(match[2] ?? "B") as keyof typeof unitsBytes];
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The largest unit that divides `bytes`, e.g. `64MiB`. */
export function formatBytes(bytes: number): string {
  for (const [unit, size] of Object.entries(unitsBytes)) {
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return `${bytes}B`;
}

/** `host:port` with a name, an IPv4 address or an IPv6 address in brackets. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9](?:[A-Za-z0-9.-]*))):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  return { host: match[1] ?? match[2] ?? "", port };
}

export function formatEndpoint({ host, port }: Endpoint): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** A length of time, in milliseconds once read. */
export function duration(bounds: Bounds): z.ZodType<number, string | number> {
  return z.codec(z.union([z.string(), z.number()]), z.number(), {
    decode: (input, context) => {
      const milliseconds = parseDuration(String(input));
      if (milliseconds === undefined) {
        return refuse(
          context,
          input,
          "a duration",
          "write a unit, for example 10m, 1h30m or 500ms",
        );
      }
      return inBounds({ context, input, value: milliseconds, bounds, format: formatDuration });
    },
    encode: formatDuration,
  });
}

/** A size, in bytes once read. */
export function byteSize(bounds: Bounds): z.ZodType<number, string | number> {
  return z.codec(z.union([z.string(), z.number()]), z.number(), {
    decode: (input, context) => {
      const bytes = parseBytes(String(input));
      if (bytes === undefined) {
        return refuse(context, input, "a size", "write for example 64MiB, 512KiB or 1048576");
      }
      return inBounds({ context, input, value: bytes, bounds, format: formatBytes });
    },
    encode: formatBytes,
  });
}

/** An integer; its decimal text too, because `${env:NAME}` yields text. */
export function integer(bounds: Bounds): z.ZodType<number, string | number> {
  return z.codec(z.union([z.number(), z.string()]), z.number(), {
    decode: (input, context) => {
      if (!/^(?:0|[1-9]\d{0,15})$/.test(String(input))) {
        return refuse(context, input, "an integer", `write a number from ${range(bounds, String)}`);
      }
      return inBounds({ context, input, value: Number(input), bounds, format: String });
    },
    encode: (value) => value,
  });
}

/** A number with a fraction; its decimal text too. */
export function fraction(bounds: Bounds): z.ZodType<number, string | number> {
  return z.codec(z.union([z.number(), z.string()]), z.number(), {
    decode: (input, context) => {
      if (!/^\d{1,9}(?:\.\d{1,9})?$/.test(String(input))) {
        return refuse(context, input, "a number", `write a number from ${range(bounds, String)}`);
      }
      return inBounds({ context, input, value: Number(input), bounds, format: String });
    },
    encode: (value) => value,
  });
}

/** `true` or `false`; their text too, because `${env:NAME}` yields text. */
export function flag(): z.ZodType<boolean, string | boolean> {
  return z.codec(z.union([z.boolean(), z.string()]), z.boolean(), {
    decode: (input, context) => {
      if (input === true || input === "true") return true;
      if (input === false || input === "false") return false;
      return refuse(context, input, "true or false", "write true or false");
    },
    encode: (value) => value,
  });
}

/** An address to listen on. */
export function endpoint(): z.ZodType<Endpoint, string> {
  return z.codec(z.string(), z.custom<Endpoint>(), {
    decode: (input, context) =>
      parseEndpoint(input) ??
      refuse(context, input, "host:port", "write for example 127.0.0.1:4318, without http://"),
    encode: formatEndpoint,
  });
}

/** An absolute http or https URL. */
export function httpUrl(): z.ZodType<string, string> {
  return z.codec(z.string(), z.string(), {
    decode: (input, context) => {
      const url = URL.parse(input);
      const hint = "write for example http://127.0.0.1:4318 or https://otlp.example.com";
      if (url === null || !/^https?:$/.test(url.protocol)) {
        return refuse(context, input, "an http or https URL", hint);
      }
      if (url.username !== "" || url.password !== "") {
        const remedy = "put credentials into headers, for example authorization: ${file:PATH}";
        return refuse(context, input, "a URL without user and password", remedy);
      }
      return input;
    },
    encode: (value) => value,
  });
}

/** Text of at least one character. */
export function text(): z.ZodType<string, string> {
  return z.string().min(1);
}

/** Records a problem whose remedy travels with it. */
export function refuse(
  context: { readonly issues: unknown[] },
  input: unknown,
  expected: string,
  hint: string,
): never {
  context.issues.push({ code: "custom", message: expected, params: { hint }, input });
  return z.NEVER;
}

interface Bounded {
  readonly context: { readonly issues: unknown[] };
  readonly input: unknown;
  readonly value: number;
  readonly bounds: Bounds;
  readonly format: (value: number) => string;
}

function inBounds({ context, input, value, bounds, format }: Bounded): number {
  if (value >= bounds.min && value <= bounds.max) return value;
  const only = bounds.min === bounds.max;
  const allowed = only ? format(bounds.min) : `a value from ${range(bounds, format)}`;
  return refuse(context, input, allowed, `write ${allowed}`);
}

function range(bounds: Bounds, format: (value: number) => string): string {
  return `${format(bounds.min)} to ${format(bounds.max)}`;
}

function formatUnits(value: number, units: Readonly<Record<string, number>>): string {
  let rest = value;
  let formatted = "";
  for (const [unit, size] of Object.entries(units)) {
    const count = Math.floor(rest / size);
    if (count > 0) formatted += `${count}${unit}`;
    rest -= count * size;
  }
  return formatted;
}
