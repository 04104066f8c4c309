/** Ledger, spool and bucket together: where one of them cannot be opened, and what one needs of another. */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Files } from "../../src/ledger/files.ts";
import { nodeFiles } from "../../src/ledger/files.ts";
import { parseConfig } from "../../src/service/config.ts";
import { directorySource } from "../../src/ledger/directory-source.ts";
import { publicVkeys } from "../../src/ledger/keys.ts";
import { parseVkey } from "../../src/ledger/note.ts";
import { verifyLedger } from "../../src/ledger/verify/verify.ts";
import { controlHandlers } from "../../src/service/control-commands.ts";
import { openCore } from "../../src/service/core.ts";
import type { Core } from "../../src/service/core.ts";
import { openKeysOf } from "../../src/service/keys.ts";
import { auditPolicy } from "../../src/service/policy.ts";

const silent = (): void => undefined;
const log = { debug: silent, info: silent, warn: silent, error: silent };

/** The real files, and how many of those to append to are open. */
function countedFiles(): { readonly files: Files; readonly open: Set<string> } {
  const open = new Set<string>();
  const files: Files = {
    ...nodeFiles,
    async openAppend(path, mode) {
      const file = await nodeFiles.openAppend(path, mode);
      open.add(path);
      return {
        path: file.path,
        write: (bytes, position) => file.write(bytes, position),
        sync: () => file.sync(),
        truncate: (size) => file.truncate(size),
        size: () => file.size(),
        close: async () => {
          await file.close();
          open.delete(path);
        },
      };
    },
  };
  return { files, open };
}

interface Place {
  readonly folder: string;
  readonly start: (files?: Files) => Promise<Core>;
}

async function newPlace(configuration: string): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), "spanseal-core-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const { config } = parseConfig(configuration, {
    dataDirectory: folder,
    keysDirectory: join(folder, "keys"),
  });
  const keys = await openKeysOf(config, { create: true });
  const { redaction } = auditPolicy({ config, keys, randomBytes });
  return {
    folder,
    start: (files = nodeFiles) => openCore({ config, log, keys, redaction, files }),
  };
}

test("what was opened before a start that is refused is closed again", async () => {
  const sink = "exporters: { otlp_http: { endpoint: 'http://127.0.0.1:1' } }";
  const { folder, start } = await newPlace(sink);
  const { files, open } = countedFiles();
  const core = await start(files);
  const entry = { signal: "traces", bytes: Buffer.from("request"), first: 0, end: 0 } as const;
  await core.forwarder!.stage(core.ledger.size, [entry]);
  core.forwarder!.committed(core.ledger.size);
  await core.close(0);
  expect([...open]).toEqual([]);
  writeFileSync(join(folder, "ledger/publish/0000000000009999.checkpoint"), "not signed");
  await expect(start(files)).rejects.toMatchObject({ name: "PublishError", code: "damaged" });
  expect([...open]).toEqual([]);
});

test("what the bucket holds leads from the first log key to the last, whatever the ledger signs", async () => {
  const { folder, start } = await newPlace("");
  const core = await start();
  const { ledger, publisher } = core;
  await publisher.publishNow();
  for (const _ of ["second", "third"]) {
    await controlHandlers({ core }).get("rotate")!({ which: "log" });
    // As the ledger does by itself after many records, more often than is published.
    await ledger.checkpoint();
  }
  await publisher.publishNow();
  await core.close(0);
  const [firstKey] = publicVkeys(ledger.origin, core.keys);
  const source = directorySource(ledger.directory, join(folder, "bucket", ledger.origin));
  const report = await verifyLedger(source, { trusted: [parseVkey(firstKey!)] });
  expect(report).toMatchObject({ verdict: "ok", failures: [] });
});

test("a spool that nothing reads any more keeps no sidecar from its start, and is told of", async () => {
  const { folder, start } = await newPlace("");
  const spool = join(folder, "ledger/spool/logs");
  mkdirSync(spool, { recursive: true });
  writeFileSync(join(spool, "cursor"), "not a cursor");
  const core = await start();
  expect(core.unsent).toMatchObject([{ signal: "logs", requests: 0 }]);
  expect(core.unsent[0]!.message).toMatch(/cannot be read \(.*damaged.*\): configure one again/);
  await core.close(0);
});
