/** `npm run faults:tamper`: runs both matrices and writes TAMPER.md. */
import { writeFileSync } from "node:fs";
import { startPathSink } from "../storage/path-sink.ts";
import { renderLarge, renderTable, runMatrix } from "./matrix.ts";
import { renderStarts, runStarts } from "./starts.ts";
import { builtSubject, largeSubject } from "./subject.ts";
import { largeTileCells } from "./tiles.ts";

const table = new URL("../TAMPER.md", import.meta.url);
const sink = await startPathSink();
const starts = renderStarts(await runStarts(sink));
await sink.close();
const matrix = renderTable(await runMatrix(builtSubject()));
const large = renderLarge(await runMatrix(largeSubject(), largeTileCells));
writeFileSync(table, matrix + large + starts);
