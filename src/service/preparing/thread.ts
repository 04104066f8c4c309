/** A thread that prepares requests, one after another. It writes nothing and asks nobody. */
import { parentPort, workerData } from "node:worker_threads";
import { prepare } from "../../audit/prepare.ts";
import { TraceMemory } from "../../audit/trace-memory.ts";
import { auditPolicy } from "../policy.ts";
import { pooledRandomBytes } from "../random.ts";
import { answerOfBatch, answerOfError, ready } from "./messages.ts";
import type { Task, ThreadData } from "./messages.ts";

const port = parentPort!;
const policy = auditPolicy({ ...(workerData as ThreadData), randomBytes: pooledRandomBytes() });
const memory = new TraceMemory();

port.on("message", (task: Task) => {
  try {
    const { answer, transfer } = answerOfBatch(prepare(task, policy, memory));
    port.postMessage(answer, transfer);
  } catch (error) {
    port.postMessage(answerOfError(error));
  }
});
port.postMessage(ready);
