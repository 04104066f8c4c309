/** A thread that prepares requests, one after another. It writes nothing and asks nobody. */
import { parentPort, workerData } from "node:worker_threads";
import { auditPolicy } from "../policy.ts";
import { pooledRandomBytes } from "../random.ts";
import { answerOfBatch, answerOfError, ready } from "./messages.ts";
import type { Task, ThreadData } from "./messages.ts";
import { inlinePreparer } from "./preparer.ts";

const port = parentPort!;
const policy = auditPolicy({ ...(workerData as ThreadData), randomBytes: pooledRandomBytes() });
const preparer = inlinePreparer(policy);

port.on("message", (task: Task) => {
  try {
    const { answer, transfer } = answerOfBatch(preparer.prepare(task));
    port.postMessage(answer, transfer);
  } catch (error) {
    port.postMessage(answerOfError(error));
  }
});
port.postMessage(ready);
