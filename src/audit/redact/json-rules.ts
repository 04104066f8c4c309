/**
 * The operator's rules over JSON as it is written. A pattern like `employee[": ]+\d{6}` reaches over
 * a key and its value; what it hits of the values is masked, so that the JSON stays JSON.
 */
import { firstWhere } from "../../bytes/search.ts";
import { maskText } from "./actions.ts";
import { findHits, type Detector, type Hit } from "./detector.ts";
import type { JsonNode } from "./json-tree.ts";
import type { Change, Scene } from "./plain.ts";

/** The changes with those that rules ask for beyond single values, in order. */
export function withRules(
  bytes: Buffer,
  roots: readonly JsonNode[],
  changes: readonly Change[],
  scene: Scene,
): Change[] {
  const text = bytes.toString("latin1");
  const scalars = scalarsOf(roots);
  const masks = new Map<JsonNode, Mask>();
  for (const detector of scene.policy.ruleDetectors) {
    for (const hit of findHits(detector, text, scene.place)) {
      const { values, keys } = touched(scalars, hit);
      if (values.length + keys.length === 1 && isInside(values[0] ?? keys[0]!, hit)) continue;
      for (const node of values.length > 0 ? values : keys) addMask(masks, node, hit, detector);
    }
  }
  return masks.size === 0 ? [...changes] : merged(changes, masks);
}

/** What rules hit of one value; the first rule gives it its class. */
interface Mask extends Hit {
  readonly rule: string;
  readonly class: string;
}

function addMask(
  masks: Map<JsonNode, Mask>,
  node: JsonNode,
  { start, end }: Hit,
  detector: Detector,
): void {
  const before = masks.get(node) ?? { start, end, rule: detector.id, class: detector.class };
  masks.set(node, {
    ...before,
    start: Math.min(start, before.start),
    end: Math.max(end, before.end),
  });
}

interface Scalars {
  readonly values: readonly JsonNode[];
  readonly keys: readonly JsonNode[];
}

/** Strings and numbers in the order of their bytes. */
function scalarsOf(roots: readonly JsonNode[]): Scalars {
  const values: JsonNode[] = [];
  const keys: JsonNode[] = [];
  const open = roots.toReversed();
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (node.key !== undefined) keys.push(node.key);
    if (node.kind === "string" || node.kind === "number") values.push(node);
    for (let at = node.children.length - 1; at >= 0; at--) open.push(node.children[at]!);
  }
  return { values, keys };
}

const inner = (node: JsonNode): Hit =>
  node.kind === "string" ? { start: node.start + 1, end: node.end - 1 } : node;

function touched(scalars: Scalars, hit: Hit): Scalars {
  return { values: overlapping(scalars.values, hit), keys: overlapping(scalars.keys, hit) };
}

/** Found by halves: a text may have as many hits as values. */
function overlapping(nodes: readonly JsonNode[], hit: Hit): readonly JsonNode[] {
  const first = firstWhere(nodes.length, (place) => inner(nodes[place]!).end > hit.start);
  let end = first;
  while (end < nodes.length && inner(nodes[end]!).start < hit.end) end++;
  return nodes.slice(first, end);
}

/** What lies within one value was found there, with its own key and escapes undone. */
function isInside(node: JsonNode, hit: Hit): boolean {
  const { start, end } = inner(node);
  return hit.start >= start && hit.end <= end;
}

/** One sweep over changes and masked values, both in order. */
function merged(changes: readonly Change[], masks: ReadonlyMap<JsonNode, Mask>): Change[] {
  const result: Change[] = [];
  const nodes = [...masks.keys()].toSorted((a, b) => a.start - b.start);
  let at = 0;
  for (const node of nodes) {
    const { start, end } = inner(node);
    while (at < changes.length && changes[at]!.end <= start) result.push(changes[at++]!);
    const first = at;
    let stop = at;
    while (stop < changes.length && changes[stop]!.start < end) stop++;
    const masked = maskOf(node, masks.get(node)!, changes.slice(first, stop));
    // A change that stays may reach over more of the values: the next turn takes it up.
    if (masked === undefined) continue;
    result.push(masked);
    at = stop;
  }
  return [...result, ...changes.slice(at)];
}

/** Undefined where the changes so far leave nothing of what was hit. */
function maskOf(node: JsonNode, mask: Mask, before: readonly Change[]): Change | undefined {
  const { start, end } = inner(node);
  let bounds: Hit = { start: Math.max(start, mask.start), end: Math.min(end, mask.end) };
  if (before.some((one) => one.start <= bounds.start && one.end >= bounds.end)) return undefined;
  const whole = node.kind === "number" || before.length > 0 || node.escaped;
  if (whole) bounds = { start, end };
  const { rule, class: what } = mask;
  const text = node.kind === "number" ? `"${maskText(what)}"` : maskText(what);
  return {
    start: bounds.start,
    end: bounds.end,
    text,
    rule,
    class: what,
    action: "mask",
    drop: false,
  };
}
