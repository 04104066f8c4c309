/** `npm run faults:tamper`: runs the whole matrix and writes TAMPER.md. */
import { writeFileSync } from "node:fs";
import { renderTable, runMatrix } from "./matrix.ts";
import { builtSubject } from "./subject.ts";

const table = new URL("../TAMPER.md", import.meta.url);
writeFileSync(table, renderTable(await runMatrix(builtSubject())));
