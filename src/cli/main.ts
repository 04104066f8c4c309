#!/usr/bin/env node
/** Where the process begins. Everything else is loaded behind the compile cache. */
import { enableCompileCache } from "node:module";
import { join } from "node:path";

// A checkout runs TypeScript, and taking its types off costs a second at each start. The cache is
// code that will be run, so it lies where the dependencies are, not in a folder open to others.
if (import.meta.filename.endsWith(".ts")) {
  enableCompileCache(join(import.meta.dirname, "../../node_modules/.cache/spanseal"));
}

const { run } = await import("./program.ts");
await run();
