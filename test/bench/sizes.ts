/** The three spans that everything is measured with, by their usual size on the wire. */
import type { LoadOptions } from "../support/agent-load.ts";

export type Size = "300 B" | "880 B" | "3 KB";

export const sizes: Readonly<Record<Size, Pick<LoadOptions, "textScale" | "attributesMax">>> = {
  "300 B": { textScale: 0.1, attributesMax: 5 },
  "880 B": {},
  "3 KB": { textScale: 16 },
};
