/** Ledger, spool and bucket, where one of them cannot be opened. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Files } from "../../src/ledger/files.ts";
import { nodeFiles } from "../../src/ledger/files.ts";
import { parseConfig } from "../../src/service/config.ts";
import { openCore } from "../../src/service/core.ts";
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

test("what was opened before a start that is refused is closed again", async () => {
  const folder = mkdtempSync(join(tmpdir(), "spanseal-core-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const { config } = parseConfig("exporters: { otlp_http: { endpoint: 'http://127.0.0.1:1' } }", {
    dataDirectory: folder,
    keysDirectory: join(folder, "keys"),
  });
  const keys = await openKeysOf(config, { create: true });
  const { redaction } = auditPolicy({ config, keys, randomBytes });
  const { files, open } = countedFiles();
  const start = () => openCore({ config, log, keys, redaction, files });
  const core = await start();
  const entry = { signal: "traces", bytes: Buffer.from("request"), first: 0, end: 0 } as const;
  await core.forwarder!.stage(core.ledger.size, [entry]);
  core.forwarder!.committed(core.ledger.size);
  await core.close(0);
  expect([...open]).toEqual([]);
  writeFileSync(join(folder, "ledger/publish/0000000000009999.checkpoint"), "not signed");
  await expect(start()).rejects.toMatchObject({ name: "PublishError", code: "damaged" });
  expect([...open]).toEqual([]);
});
