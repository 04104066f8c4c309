#!/usr/bin/env node
/** Where the process begins. Everything else is loaded behind the compile cache. */
import { enableCompileCache } from "node:module";
import { join } from "node:path";

// A checkout runs TypeScript, and taking its types off costs a second at each start. The cache is
// code that will be run, so it lies where the dependencies are, not in a folder open to others.
if (import.meta.filename.endsWith(".ts")) {
  enableCompileCache(join(import.meta.dirname, "../../node_modules/.cache/spanseal"));
}

// Each call of a file system that hangs (a network disk that is away) holds a thread, as does a name
// that is not resolved: the ledger must find one free all the same. Read when the first is needed.
process.env["UV_THREADPOOL_SIZE"] ??= "16";

const { run } = await import("./program.ts");
await run();
