/** Plain tables for a terminal: columns aligned, the last one as long as it is. */
import { visible } from "./output.ts";

export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const all = [header, ...rows.map((row) => row.map(visible))];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all
    .map((row) => {
      const cells = row.map((cell, column) =>
        column === row.length - 1 ? cell : cell.padEnd(widths[column]!),
      );
      return `${cells.join("  ").trimEnd()}\n`;
    })
    .join("");
}
