/** Inputs that are kept: a text file a target, an input a line in base64. */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

type Kind = "corpus" | "findings";

export function inputsOf(kind: Kind, target: string): Buffer[] {
  const path = pathOf(kind, target);
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => Buffer.from(line, "base64"));
}

export function addInput(kind: Kind, target: string, input: Uint8Array): void {
  mkdirSync(join(import.meta.dirname, kind), { recursive: true });
  appendFileSync(pathOf(kind, target), `${Buffer.from(input).toString("base64")}\n`);
}

function pathOf(kind: Kind, target: string): string {
  return join(import.meta.dirname, kind, `${target}.txt`);
}
