/** Plain text tables with fixed columns, and how numbers stand in them. */

export interface Column {
  readonly title: string;
  readonly width: number;
}

export function tableHead(columns: readonly Column[]): string {
  return row(
    columns,
    columns.map(({ title }) => title),
  );
}

/** The first column is left-aligned text, the others right-aligned. */
export function row(columns: readonly Column[], cells: readonly string[]): string {
  return columns
    .map(({ width }, at) => (at === 0 ? cells[at]!.padEnd(width) : cells[at]!.padStart(width)))
    .join(" ");
}

export function micro(value: number): string {
  return value.toFixed(value < 10 ? 2 : 1);
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)]!;
}

/** `median (min–max)`, or the value alone where there was one run. */
export function spread(values: readonly number[], format: (value: number) => string): string {
  const middle = format(median(values));
  if (values.length === 1) return middle;
  return `${middle} (${format(Math.min(...values))}–${format(Math.max(...values))})`;
}
