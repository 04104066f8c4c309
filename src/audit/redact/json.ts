/** Detection in JSON: value by value, so that what comes out is JSON of the same shape. */
import { findCells, type Cell } from "../phi/rows.ts";
import { cellChange, treatCell } from "../phi/treat.ts";
import { drops } from "./actions.ts";
import { FROM_KEY, fromKey, NUMBERS, RULE, type Candidates } from "./candidates.ts";
import type { Place } from "./detector.ts";
import type { JsonNode } from "./json-tree.ts";
import { escapeJson, unescapeJson } from "./json-text.ts";
import { withRules } from "./json-rules.ts";
import { isCarrier, normalizeKey } from "./keys.ts";
import { redactPlain, type Change, type Scene } from "./plain.ts";
import { replaced } from "./sight.ts";

export interface JsonText {
  readonly bytes: Buffer;
  readonly roots: readonly JsonNode[];
  /** Candidates of `bytes`. */
  readonly found: Candidates;
  readonly scene: Scene;
  /** Looks into the content of a string, which may be JSON again. */
  readonly inner: (bytes: Buffer, scene: Scene) => Change[];
}

/** Where the walk is: a value with its container and what its key says. */
interface Step {
  readonly node: JsonNode;
  readonly parent: JsonNode | undefined;
  readonly place: Place;
  readonly keyBits: number;
}

interface Visit {
  readonly json: JsonText;
  readonly changes: Change[];
  /** Children to remove, each with the change that asks for it. */
  readonly removed: Map<JsonNode, Map<JsonNode, Change>>;
  readonly cells: ReadonlyMap<JsonNode, Cell>;
}

const noCells: ReadonlyMap<JsonNode, Cell> = new Map();

function cellsOf(json: JsonText): ReadonlyMap<JsonNode, Cell> {
  const { phi } = json.scene;
  if (phi === undefined) return noCells;
  const nameOf = (key: JsonNode): string => textOfString(json, key);
  const textOf = (node: JsonNode): string =>
    node.kind === "string" ? nameOf(node) : json.bytes.toString("utf8", node.start, node.end);
  return findCells({ roots: json.roots, nameOf, textOf }, phi);
}

/** The content of a string, without quotes and escapes. */
function contentOf({ bytes }: JsonText, { start, end, escaped }: JsonNode): Buffer {
  return escaped
    ? unescapeJson(bytes, start + 1, end - 1).bytes
    : bytes.subarray(start + 1, end - 1);
}

function textOfString(json: JsonText, node: JsonNode): string {
  if (node.escaped) return contentOf(json, node).toString();
  return json.bytes.toString("utf8", node.start + 1, node.end - 1);
}

/** Changes of `json.bytes`, in order and apart from each other. */
export function redactJson(json: JsonText): Change[] {
  const { scene } = json;
  const visit: Visit = { json, changes: [], removed: new Map(), cells: cellsOf(json) };
  const open: Step[] = json.roots
    .map((node) => ({
      node,
      parent: undefined,
      place: scene.place,
      keyBits: scene.keyBits | scene.everyBits,
    }))
    .toReversed();
  // Iterative: as deep as the tree, which is the sender's.
  for (let step = open.pop(); step !== undefined; step = open.pop()) {
    const { node } = step;
    const cell = visit.cells.get(node);
    if (cell !== undefined) {
      visitCell(visit, cell, node);
      continue;
    }
    if (node.kind === "string") visitString(visit, step);
    if (node.kind === "number") visitNumber(visit, step);
    for (let at = node.children.length - 1; at >= 0; at--) {
      const child = node.children[at]!;
      if (!isWorthALook(visit, child, child.key?.start ?? child.start, step.keyBits)) continue;
      const next = visitChild(visit, step, child);
      if (isWorthALook(visit, child, child.start, next.keyBits)) open.push(next);
    }
  }
  const changes = withRemovals(visit);
  if (scene.policy.ruleDetectors.length === 0) return changes;
  return withRules(json.bytes, json.roots, changes, scene);
}

/** Whether there may be something in a node from `start` on, its key perhaps included. */
function isWorthALook({ json }: Visit, node: JsonNode, start: number, keyBits: number): boolean {
  return json.scene.phi !== undefined || keyBits !== 0 || json.found.any(start, node.end);
}

function visitChild(visit: Visit, { node: parent, place, keyBits }: Step, node: JsonNode): Step {
  const { found, scene } = visit.json;
  const { key } = node;
  if (key === undefined) return { node, parent, place, keyBits };
  const bits = found.between(key.start, key.end);
  if (bits !== 0 || scene.everyBits !== 0) {
    visitKey(visit, key, place);
  }
  const rawKey = textOfString(visit.json, key);
  const own = normalizeKey(rawKey);
  const carried = place.key !== "" && isCarrier(own);
  return {
    node,
    parent,
    place: { ...place, key: carried ? place.key : own, rawKey },
    keyBits: fromKey(bits) | (keyBits & (carried ? FROM_KEY : RULE)) | scene.everyBits,
  };
}

/** A key is a text of its own, which nothing else says anything about. */
function visitKey(visit: Visit, node: JsonNode, around: Place): void {
  const place = { ...around, key: "", rawKey: "" };
  visitString(visit, { node, parent: undefined, place, keyBits: 0 });
}

function visitString(visit: Visit, { node, parent, place, keyBits }: Step): void {
  const { bytes, found, scene, inner } = visit.json;
  const start = node.start + 1;
  const stop = node.end - 1;
  const bits = found.between(node.start, node.end) | keyBits;
  if (bits === 0 && scene.phi === undefined) return;
  const here: Scene = { ...scene, place, bits, keyBits, depth: scene.depth + 1 };
  const quote = String.fromCharCode(bytes[node.start]!);
  if (!node.escaped) {
    for (const change of inner(bytes.subarray(start, stop), here)) {
      settle(visit, node, parent, {
        ...change,
        start: change.start + start,
        end: change.end + start,
        text: escapeJson(change.text, quote),
      });
    }
    return;
  }
  const content = unescapeJson(bytes, start, stop);
  for (const change of inner(content.bytes, here)) {
    settle(visit, node, parent, {
      ...change,
      start: content.starts[change.start]!,
      end: content.ends[change.end - 1]!,
      text: escapeJson(change.text, quote),
    });
  }
}

/** Treats the value of a declared column; of a list or map every value inside. */
function visitCell(visit: Visit, cell: Cell, top: JsonNode): void {
  const { bytes, scene } = visit.json;
  const phi = scene.phi!;
  const open = [top];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (let at = node.children.length - 1; at >= 0; at--) open.push(node.children[at]!);
    if (node !== top && node.key !== undefined && !drops(cell.column.actions)) {
      visitKey(visit, node.key, scene.place);
    }
    const { kind, start, end } = node;
    const isText = kind === "string";
    const content = isText ? contentOf(visit.json, node) : bytes.subarray(start, end);
    const text = content.toString("latin1");
    const isNothing = kind === "object" || kind === "array" || NOTHING.test(text);
    const treated = isNothing ? undefined : treatCell(text, cell, { ...scene, phi });
    if (drops(cell.column.actions)) continue;
    if (treated === undefined || treated === text) continue;
    const quote = String.fromCharCode(isText ? bytes[start]! : 0x22);
    const literal = `${quote}${escapeJson(treated, quote)}${quote}`;
    const replacement = !isText && /^-?\d+(?:\.\d+)?$/.test(treated) ? treated : literal;
    visit.changes.push(cellChange(cell.column, { start, end }, replacement));
  }
  if (!drops(cell.column.actions)) return;
  // A list beside a list of column names keeps its places.
  const isPlace = top.key === undefined;
  const change = cellChange(cell.column, { start: top.start, end: top.end }, isPlace ? "null" : "");
  settle(visit, top, isPlace ? undefined : cell.parent, { ...change, drop: !isPlace });
}

const NOTHING = /^(?:null|None)$/;

/** A number keeps its place: a text in its stead gets quotes. */
function visitNumber(visit: Visit, { node, parent, place, keyBits }: Step): void {
  const { bytes, found, scene } = visit.json;
  const bits = found.between(node.start, node.end) | keyBits;
  if (bits === 0) return;
  const written = bytes.toString("latin1", node.start, node.end);
  const integer = integerOf(written);
  const text = integer ?? written;
  const numberBits = integer === undefined ? bits : bits | NUMBERS;
  const changes = redactPlain(text, { ...scene, place, bits: numberBits, keyBits });
  const first = changes[0];
  if (first === undefined) return;
  const whole = changes.length === 1 && first.end - first.start === text.length;
  const result = whole ? first.text : replaced(text, changes);
  settle(visit, node, parent, {
    ...first,
    start: node.start,
    end: node.end,
    text: /^-?\d+$/.test(result) ? result : `"${result}"`,
    drop: changes.some(({ drop }) => drop),
  });
}

const FLOATING = /^(-?)(\d+)(?=[.eE])(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?$/;
/** More digits than any number has that is looked for. */
const integerDigitsMax = 40;

/** The integer of which a writer of floating-point numbers made `4.111e3` or `4111.0`. */
function integerOf(written: string): string | undefined {
  const match = FLOATING.exec(written);
  if (match === null) return undefined;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
  const end = whole.length + Number(exponent);
  if (end <= 0 || end > integerDigitsMax) return undefined;
  const digits = (whole + fraction).padEnd(end, "0");
  return /[1-9]/.test(digits.slice(end)) ? undefined : sign + digits.slice(0, end);
}

/** Keeps a change, or notes that the element is to be removed; a root's is the caller's to remove. */
function settle(visit: Visit, node: JsonNode, parent: JsonNode | undefined, change: Change): void {
  if (!change.drop || parent === undefined) {
    visit.changes.push(change);
    return;
  }
  const removed = visit.removed.get(parent) ?? new Map<JsonNode, Change>();
  visit.removed.set(parent, removed);
  if (!removed.has(node)) removed.set(node, change);
}

/** The changes with the removals, in order; changes of what is removed are gone. */
function withRemovals({ changes, removed }: Visit): Change[] {
  if (removed.size === 0 && inOrder(changes)) return changes;
  const removals: Change[] = [];
  for (const [container, children] of removed) {
    let kept = false;
    container.children.forEach((child, at) => {
      const change = children.get(child);
      if (change === undefined) kept = true;
      else
        removals.push({ ...change, ...removalBounds(container, at, kept), text: "", drop: false });
    });
  }
  const all = [...changes, ...removals].toSorted((a, b) => a.start - b.start || b.end - a.end);
  let covered = 0;
  return all.filter(({ start, end, text }) => {
    if (start < covered && end <= covered) return false;
    if (text === "") covered = end;
    return true;
  });
}

/** Whether they are apart from each other as well. */
function inOrder(changes: readonly Change[]): boolean {
  return changes.every((change, at) => at === 0 || changes[at - 1]!.end <= change.start);
}

/** With the comma before the element where one is kept before it, else with the comma after. */
function removalBounds(
  container: JsonNode,
  at: number,
  kept: boolean,
): { start: number; end: number } {
  const { children } = container;
  const child = children[at]!;
  if (kept) return { start: children[at - 1]!.end, end: child.end };
  const next = children[at + 1];
  return {
    start: child.key?.start ?? child.start,
    end: next?.key?.start ?? next?.start ?? child.end,
  };
}
