/**
 * `${env:NAME}` and `${file:PATH}` in the values of the configuration. What a reference yielded is
 * remembered by its place, so that it is never shown again: it may be a secret.
 */

export interface ReferenceSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Text of a file, or throws. */
  readonly readFile: (path: string) => string;
}

export interface ResolvedReferences {
  readonly value: unknown;
  /** Place (see `placeOf`) → the text as written, for every value that holds a reference. */
  readonly written: ReadonlyMap<string, string>;
  readonly failures: readonly ReferenceFailure[];
}

interface ReferenceFailure {
  readonly path: readonly PropertyKey[];
  readonly written: string;
  readonly message: string;
  readonly hint: string;
}

interface Resolving extends ReferenceSources {
  readonly written: Map<string, string>;
  readonly failures: ReferenceFailure[];
}

/** A path as one string: `exporters.otlp_http.headers.x`, `rules[0].id`. */
export function placeOf(path: readonly PropertyKey[]): string {
  let place = "";
  for (const part of path) {
    if (typeof part === "number") place += `[${part}]`;
    else place += place === "" ? String(part) : `.${String(part)}`;
  }
  return place;
}

/**
 * Replaces the references in every text of `value`. `$$` stands for one `$`; a value that comes out
 * of a reference is not searched again. `${env:NAME:-text}` gives a default.
 */
export function resolveReferences(value: unknown, sources: ReferenceSources): ResolvedReferences {
  const resolving: Resolving = { ...sources, written: new Map(), failures: [] };
  const resolved = resolve(value, [], resolving);
  return { value: resolved, written: resolving.written, failures: resolving.failures };
}

function resolve(value: unknown, path: readonly PropertyKey[], resolving: Resolving): unknown {
  if (typeof value === "string") return resolveText(value, path, resolving);
  if (Array.isArray(value)) {
    return value.map((item, index) => resolve(item, [...path, index], resolving));
  }
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([key, member]): [string, unknown] => [
    key,
    resolve(member, [...path, key], resolving),
  ]);
  return Object.fromEntries(members);
}

function resolveText(text: string, path: readonly PropertyKey[], resolving: Resolving): string {
  if (!text.includes("$")) return text;
  const resolved = text.replaceAll(
    /\$\$|\$\{([^}]*)\}/g,
    (whole, reference: string | undefined) => {
      if (reference === undefined) return "$";
      resolving.written.set(placeOf(path), text);
      const found = lookUp(reference, resolving);
      if (typeof found === "string") return found;
      resolving.failures.push({ path, written: whole, ...found });
      return "";
    },
  );
  return resolved;
}

function lookUp(
  reference: string,
  { environment, readFile }: ReferenceSources,
): string | { message: string; hint: string } {
  const environmentName = /^env:([A-Za-z_]\w*)(?::-(.*))?$/s.exec(reference);
  if (environmentName !== null) {
    const [, name = "", fallback] = environmentName;
    const value = environment[name] || fallback;
    if (value !== undefined) return value;
    return {
      message: `the environment variable ${name} is not set`,
      hint: `set ${name}, or write \${env:${name}:-default}`,
    };
  }
  if (reference.startsWith("file:")) return readReferenced(reference.slice(5), readFile);
  return {
    message: "unknown kind of reference",
    hint: "write ${env:NAME} or ${file:PATH}, or $${ for a literal ${",
  };
}

function readReferenced(
  path: string,
  readFile: (path: string) => string,
): string | { message: string; hint: string } {
  try {
    return readFile(path).replace(/\r?\n$/, "");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    return {
      message: `cannot read the file ${path} (${code})`,
      hint: "create the file, readable for this user; relative paths start at the working directory",
    };
  }
}
