/**
 * Names of namespaces and tenants. They stand in heads, bundles and command lines, so they are
 * printable ASCII: 1 to 128 characters from space to `~` except `"` and `\`, no space at either end.
 */
import { chainNameCharsMax } from "../limits.ts";
import { RequestError } from "./request-error.ts";

/** The namespace of records about Spanseal itself; no sender may write to it. */
export const reservedNamespace = "spanseal";

const NAME = /^(?! )[ !#-[\]-~]+(?<! )$/;

/** @returns why `name` cannot name a chain's namespace or tenant, or undefined where it can. */
export function nameProblem(kind: "namespace" | "tenant", name: string): string | undefined {
  if (name.length === 0) return `${kind} is empty: expected 1 to ${chainNameCharsMax} characters`;
  if (name.length > chainNameCharsMax) {
    return `${kind} has ${name.length} characters: expected at most ${chainNameCharsMax}`;
  }
  if (!NAME.test(name)) {
    return `${kind} has a character that is not allowed: expected printable ASCII without " and \\, no space at either end`;
  }
  if (kind === "namespace" && name === reservedNamespace) {
    return `namespace "${reservedNamespace}" is reserved: choose another name`;
  }
  return undefined;
}

/**
 * The message never repeats the name, which is the sender's text.
 *
 * @throws RequestError `bad_name`
 */
export function checkName(kind: "namespace" | "tenant", name: string): void {
  const problem = nameProblem(kind, name);
  if (problem !== undefined) throw new RequestError("bad_name", problem);
}
