/** One value, whatever it holds: text, JSON, JSON inside JSON. */
import { redactionValueBytesMax, redactionNestingMax } from "../../limits.ts";
import { Candidates, RULE } from "./candidates.ts";
import { redactJson } from "./json.ts";
import { looksLikeJson, parseJsonTree } from "./json-tree.ts";
import { maskWhole, redactPlain, type Change, type Scene } from "./plain.ts";
import type { RedactionPolicy } from "./policy.ts";
import { scan } from "./scan.ts";

/** Every candidate in `bytes[start, end)`: the cheap scan and the literals of the operator's rules. */
export function findCandidates(
  bytes: Buffer,
  policy: RedactionPolicy,
  found: Candidates = new Candidates(),
): Candidates {
  scan(bytes, found);
  for (const literal of policy.literals) {
    for (let at = bytes.indexOf(literal); at !== -1; at = bytes.indexOf(literal, at + 1)) {
      found.add(at, RULE);
    }
  }
  return found;
}

/** Changes of a value that has candidates, in order and apart from each other. */
export function redactValue(bytes: Buffer, scene: Scene): Change[] {
  const textOf = (): string => bytes.toString("latin1", 0, bytes.length);
  if (bytes.length > redactionValueBytesMax) return [maskWhole(textOf(), scene)];
  if (looksLikeJson(bytes)) {
    if (scene.depth >= redactionNestingMax) return [maskWhole(textOf(), scene)];
    const roots = parseJsonTree(bytes);
    if (roots === "too_many") return [maskWhole(textOf(), scene)];
    if (roots !== undefined) {
      const found = findCandidates(bytes, scene.policy);
      return redactJson({ bytes, roots, found, scene, inner: redactValue });
    }
  }
  return redactPlain(textOf(), scene);
}

/** `bytes` with the changes made. */
export function applyChanges(bytes: Buffer, changes: readonly Change[]): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (const { start, end, text } of changes) {
    parts.push(bytes.subarray(from, start), Buffer.from(text, "latin1"));
    from = end;
  }
  parts.push(bytes.subarray(from));
  return Buffer.concat(parts);
}
