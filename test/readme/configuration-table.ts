/** The README's table of configuration keys, made from the schema that the sidecar obeys. */
import { configJsonSchema } from "../../src/service/config.ts";

interface Node {
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node | boolean;
  readonly items?: Node;
  readonly required?: readonly string[];
}

/** Markdown, one row for each key that takes a value. */
export function configurationTable(): string {
  const rows = rowsOf(configJsonSchema(), "");
  return ["| key | default | meaning |", "|---|---|---|", ...rows].join("\n");
}

function rowsOf(node: Node, path: string): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
    const place = path === "" ? name : `${path}.${name}`;
    const inside = child.properties === undefined ? child.items : child;
    if (inside?.properties !== undefined) {
      return rowsOf(inside, inside === child ? place : `${place}[]`);
    }
    if (typeof child.additionalProperties === "object" && child.additionalProperties.properties) {
      return rowsOf(child.additionalProperties, `${place}.<name>`);
    }
    return [`| \`${place}\` | ${defaultOf(child, node, name)} | ${child.description ?? ""} |`];
  });
}

function defaultOf(child: Node, parent: Node, name: string): string {
  if (child.default !== undefined) return `\`${text(child.default)}\``;
  return parent.required?.includes(name) === true ? "required" : "";
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

if (import.meta.main) process.stdout.write(`${configurationTable()}\n`);
