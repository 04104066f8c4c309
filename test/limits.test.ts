/** Limits that only hold together: whoever changes one of them learns which others it touches. */
import { expect, test } from "vitest";
import * as limits from "../src/limits.ts";

const ORDER: readonly (readonly [why: string, smaller: number, larger: number])[] = [
  [
    "a body that stands still loses its place before its time",
    limits.receivingMsMin,
    limits.bodyTimeMsMax,
  ],
  [
    "who waited for a turn still has time for the work",
    limits.queueTimeMsMax,
    limits.answerTimeMsMax,
  ],
  ["the same for large bodies", limits.inflateQueueTimeMsMax, limits.answerTimeMsMax],
  [
    "one stream does not need more than its connection",
    limits.streamWindowBytes,
    limits.sessionWindowBytes,
  ],
  ["a frame fits into the window", limits.frameBytesMax, limits.streamWindowBytes],
  ["the records of a request fit into a group", limits.requestBytesMax, limits.groupLinesBytesMax],
  ["the same after mapping", limits.batchBytesMax, limits.groupLinesBytesMax],
  ["an item that is not cut fits into a line", limits.itemBytesMax, limits.lineBytesMax],
  [
    "a value that was cut is smaller than what made it be cut",
    limits.cutContentBytes,
    limits.itemBytesMax,
  ],
  ["contents are kept longer than other values", limits.cutValueBytes, limits.cutContentBytes],
  ["a line fits into a segment", limits.lineBytesMax, limits.segmentBytesMax],
  ["a line fits into a group", limits.lineBytesMax, limits.groupBytesMax],
  ["what is around a body", limits.lineFrameBytesMin, limits.lineFrameBytesMax],
  [
    "a body nests as deep as its request, and its own members",
    limits.nestingDepthMax,
    limits.bodyDepthMax,
  ],
  ["waits of storage grow", limits.storageRetryMsMin, limits.storageRetryMsMax],
  ["waits of publishing grow", limits.publishRetryMsMin, limits.publishRetryMsMax],
  ["waits of threads grow", limits.threadRestartMsMin, limits.threadRestartMsMax],
  ["a proof holds its checkpoint", limits.noteBytesMax, limits.proofBytesMax],
  [
    "a full queue has files that can be removed",
    limits.spoolSegmentBytesMax,
    limits.spoolQueueBytes,
  ],
  ["a second signal can shorten the end", limits.signalEchoMs, limits.shutdownMsMax],
];

test.each(ORDER)("%s", (_, smaller, larger) => {
  expect(smaller).toBeLessThanOrEqual(larger);
});

test("the parts of the shutdown leave time to close log and bucket", () => {
  const parts = limits.drainReceiversMsMax + limits.drainSinkMsMax;
  expect(parts).toBeLessThanOrEqual(limits.shutdownMsMax * 0.75);
});

test("the largest request has room in both of its forms", () => {
  expect(2 * limits.requestBytesMax).toBeLessThanOrEqual(limits.inflightBytesMax);
});
