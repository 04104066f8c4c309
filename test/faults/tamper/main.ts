/** `npm run faults:tamper`: runs both matrices and writes TAMPER.md. */
import { writeFileSync } from "node:fs";
import { startPathSink } from "../storage/path-sink.ts";
import { renderTable, runMatrix } from "./matrix.ts";
import { renderStarts, runStarts } from "./starts.ts";
import { builtSubject } from "./subject.ts";

const table = new URL("../TAMPER.md", import.meta.url);
const sink = await startPathSink();
const starts = renderStarts(await runStarts(sink));
await sink.close();
writeFileSync(table, renderTable(await runMatrix(builtSubject())) + starts);
