/**
 * Every bound of the process, with its unit. A bound that a user may change is the default of a
 * configuration key; the others are fixed because changing them would change a format or a promise.
 */

const KIB = 1024;
const MIB = 1024 * KIB;

/** Ingest: one request, before and after inflation. OTLP 1.11 recommends 64 MiB. */
export const requestBytesMax: number = 64 * MIB;
/** Ingest: bytes of all requests that are being received or wait for their commit. */
export const inflightBytesMax: number = 256 * MIB;
/** Ingest: nested messages or values (AnyValue, protobuf groups, JSON). */
export const nestingDepthMax = 100;
/** Ingest: requests that are being received or wait for their commit. */
export const requestsMax = 1024;
/** Ingest: open connections of one protocol; one more closes the quietest. */
export const connectionsMax = 1024;
/** Ingest: header block of one request. */
export const headerBytesMax: number = 16 * KIB;
/** Ingest: from the first byte of a request (or a connection) to the end of its headers. */
export const headerTimeMsMax = 10_000;
/** Ingest: from the headers to the end of the body. */
export const bodyTimeMsMax = 30_000;
/** Ingest: a body that has been on its way for longer loses its place when there is no other. */
export const receivingMsMin = 200;
/** Ingest: a complete body waits this long for its turn; then more comes than can be done. */
export const queueTimeMsMax = 1_000;
/** Ingest: the same where the queue has stood for that time: it is no burst that will pass. */
export const standingTimeMsMax = 250;
/** Ingest: a large deflated body waits this long for those before it. */
export const inflateQueueTimeMsMax = 5_000;
/** Ingest: requests that are being recorded, beyond which others wait for their turn. */
export const unsettledBytesMax: number = 4 * MIB;
/** Ingest: work between two looks at the network. */
export const workSliceMs = 5;
/** Ingest: from the end of the body to the answer; exporters give up after 10 s in all. */
export const answerTimeMsMax = 8_000;
/** Ingest: idle HTTP connections. Clients reuse theirs for up to 60 s and must not be raced. */
export const keepAliveMs = 75_000;
/** Ingest: idle gRPC connections; a ping counts as activity. */
export const sessionIdleMsMax = 600_000;
/** Ingest: bytes a second of one gRPC connection that belong to no message. */
export const emptyBytesPerSecondMax: number = 1 * MIB;
/** Ingest: an answer over gRPC that its sender does not take. */
export const answerTakenMsMax = 10_000;
/** Ingest: how long the unread rest of a refused request is discarded before the connection ends. */
export const lingerMsMax = 2_000;
/** Ingest: concurrent streams of one gRPC connection, and the windows of stream and connection. */
export const streamsMax = 256;
export const streamWindowBytes: number = 2 * MIB;
export const sessionWindowBytes: number = 16 * MIB;
/** Ingest: the largest frame that a gRPC sender may use: one read of a socket. */
export const frameBytesMax: number = 64 * KIB;
/** Ingest: room that is made ready for a body before that much of it has come. */
export const bodyAheadBytesMax: number = 1 * MIB;
/**
 * Ingest: bytes before and after inflation in one step; larger bodies are inflated in turns with
 * other work.
 */
export const deflatedAtOnceBytesMax: number = 512 * KIB;
export const inflateAtOnceBytesMax: number = 2 * MIB;
/** Ingest: the wait that a refused sender is asked for. */
export const retryDelaySeconds = 1;
/** Ingest: text of one refusal on the wire; gRPC clients bound all trailers at 8 KiB. */
export const refusalCharsMax = 400;

/** Memory that waits to be used again by the next requests, and for how long it waits. */
export const pooledBytesMax: number = 16 * MIB;
export const poolIdleMs = 5_000;

/** Ledger: one segment file before it is closed. */
export const segmentBytesMax: number = 64 * MIB;
/** Ledger: bytes of one group commit. */
export const groupBytesMax: number = 16 * MIB;
/** Ledger: records between two local checkpoints, which bounds the work at start. */
export const checkpointRecordsMax = 65_536;
/** Ledger: records of one request, which are committed together. */
export const batchRecordsMax = 65_536;
/** Ledger: lines of one group, where a single request is larger than a usual group. */
export const groupLinesBytesMax: number = 512 * MIB;
/** Ledger and spool: from so many bytes on a write goes around the page cache. */
export const directWriteBytesMin: number = 256 * KIB;
/** Ledger: all of a line but its body. */
export const lineFrameBytesMax = 1280;
/** Ledger: the shortest that this can be. */
export const lineFrameBytesMin = 400;
/** Ledger: a segment is closed at this age though it is not full. */
export const segmentAgeMsMax: number = 24 * 60 * 60 * 1000;
/** Ledger: chains whose derived keys are kept ready. */
export const chainPensMax = 4096;
/** Ledger: window entries after which they become a block of their own beside state snapshots. */
export const windowBlockEntries = 16_384;
/** Ledger: wait before a failed write is tried again, doubled from the first to the second. */
export const storageRetryMsMin = 100;
export const storageRetryMsMax: number = 30 * 1000;
/** Ledger: time between two records that chains were refused. */
export const chainLimitIntervalMs: number = 60 * 60 * 1000;
/** Ledger: bytes of a torn tail that are moved aside without asking. */
export const quarantineBytesMax: number = 1024 * MIB;
/** Ledger: one read of a segment. */
export const segmentReadBytes: number = 4 * MIB;
/** Ledger: one read in the search for a single record. */
export const lineSearchBytes: number = 16 * KIB;
/** Ledger: one read where many records are wanted, which mostly stand together. */
export const lineRunBytes: number = MIB;
/** Ledger: ids remembered to recognise a repeat. */
export const dedupeWindowRecords = 1_000_000;
/** Ledger: a tlog-tiles tile holds 256 hashes, a bundle as many entries behind their length. */
export const tileWidth = 256;
export const tileFileBytesMax: number = tileWidth * (2 + 32);
/** Ledger: one read of the ledger's own tiles. */
export const tileReadAheadBytes: number = 256 * KIB;

/** Names of namespaces and tenants: length in characters. */
export const chainNameCharsMax = 128;
/** Chains of one ledger. */
export const chainsMax = 100_000;

/** Notes: bytes of one signed note, and its signature lines (the format demands at least 16). */
export const noteBytesMax: number = 64 * KIB;
export const noteSignaturesMax = 64;
/** Ledger: one line of a segment, head and body with their line feed. */
export const lineBytesMax: number = 16 * MIB;
/** Ledger: the descriptor `ledger.json`. */
export const descriptorBytesMax: number = 4 * KIB;

/** Audit: traces of which `prepare` remembers whether an agent takes part, and their chain. */
export const traceMemoryTraces = 65_536;
/** Audit: ancestors of a span that are asked who acted, or for the names of its chain. */
export const ancestorsMax = 64;
/** Audit: places that are looked at to find a span by its id. */
export const sameIdProbesMax = 64;
/** Audit: decisions that one span can carry as events. */
export const decisionEventsMax = 1024;
/** Audit: attributes of one span or log record. */
export const attributesPerItemMax = 65_536;
/** Audit: sequences of attribute keys whose layout is remembered, and what one may be. */
export const shapesMax = 16_384;
export const shapeAttributesMax = 128;
export const shapeKeyBytesMax = 128;
/** Audit: attribute keys that are remembered beside these sequences, for longer ones. */
export const keysRememberedMax = 4096;
/** Audit: forms of records that are remembered, and those for one action with one layout. */
export const formsMax = 1024;
export const formsPerOutlineMax = 16;
/** Audit: attributes of one request that are held as columns; further ones are walked again. */
export const requestAttributesMax = 1_000_000;
/** Audit: memory for making bodies that is kept from request to request. */
export const formMemoryBytesKept: number = 16 * MIB;
/** Audit: bodies of all records of one request. */
export const batchBytesMax: number = 256 * MIB;
/** Audit: a span or log record above this size is recorded with its values cut. */
export const itemBytesMax: number = 2 * MIB;
export const cutContentBytes: number = 128 * KIB;
export const cutValueBytes: number = 4 * KIB;
export const cutAttributes = 256;
/** Ledger: nested objects and arrays in a record's body. */
export const bodyDepthMax = 128;

/** Forward: one file of the spool before a new one is begun; also what a lagging reader holds. */
export const spoolSegmentBytesMax: number = 8 * MIB;
/** Forward: entries per signal kept in memory until they are sent, to spare reading them back. */
export const spoolCacheBytesMax: number = 8 * MIB;
/** Forward: bytes per signal that wait for the sink (`sending_queue.queue_size`). */
export const spoolQueueBytes: number = 1024 * MIB;
/** Forward: time between two writes of a cursor that moved. */
export const spoolCursorIntervalMs = 1000;
/** Forward: a sink's answer; OTLP 1.11 allows it 4 MiB. */
export const sinkResponseBytesMax: number = 4 * MIB;
/** Forward: time after which an idle connection to a sink is closed; servers of HTTP close theirs. */
export const sinkIdleMsMax: number = 60 * 1000;
export const sinkHttpIdleMs: number = 4 * 1000;
/** Forward: what is kept of a sink's error message. */
export const sinkMessageCharsMax = 256;
/** Forward: the longest Retry-After or RetryInfo that is obeyed. */
export const sinkRetryAfterMsMax: number = 60 * 60 * 1000;
/** Control records: characters of one text and elements of one list. */
export const controlTextCharsMax = 4096;
export const controlListMax = 256;
/** Key folder: epochs of one kind of key. */
export const keyEpochsMax = 9999;
/** Inclusion proofs: bytes of one proof with its checkpoint. */
export const proofBytesMax: number = 256 * KIB;

/** Service: the part of the heap that new objects are made in; it grows by doubling. */
export const youngGenerationBytes: number = 16 * MIB;
/**
 * Service: by how much of what a full collection leaves the heap may grow until the next. V8's own
 * choice for a small heap is less than its young generation, so that one collection followed another.
 */
export const oldGenerationGrowthPercent = 100;
/** Service: requests that a thread has at a time; the others wait for it. */
export const threadRequestsMax = 2;
/** Service: a thread that has work and answers nothing for so long is ended. */
export const threadSilenceMsMax = 30_000;
/** Service: wait before an ended thread is started again, doubled from the first to the second. */
export const threadRestartMsMin = 10;
export const threadRestartMsMax = 10_000;
/** Service: the two parts of a thread's heap, in MiB; the largest requests need the larger one. */
export const threadYoungGenerationMib = 24;
export const threadHeapMibMax = 4096;
/** Service: threads that prepare requests. */
export const threadsMax = 64;

/** Service: log messages that wait for a slow reader of stderr; more are dropped. */
export const logQueueBytesMax: number = 4 * MIB;
/** Service: how long the end of the process waits for that reader. */
export const logFlushMsMax = 1000;
/** Service: log messages a second about what senders do; more are counted. */
export const senderMessagesPerSecondMax = 20;
/** Service: redaction classes told apart in metrics. */
export const redactionClassLabelsMax = 200;
/** Service: connections to the operations endpoint and to the control socket. */
export const operationsConnectionsMax = 64;
export const controlConnectionsMax = 16;
/** Service: time for one request to the operations endpoint, and for one to the control socket. */
export const operationsRequestMsMax = 10_000;
export const controlRequestMsMax = 60_000;
/** Service: one request and one answer on the control socket. */
export const controlMessageBytesMax: number = 1 * MIB;
/** Service: the path of a unix socket, as the kernel allows (macOS 103, Linux 107). */
export const socketPathBytesMax = 103;
/** Service: everything between the first signal and the exit. */
export const shutdownMsMax = 10_000;
/** Service: a signal so soon after the first is the same one, passed on by another process. */
export const signalEchoMs = 500;
/** Service: of that, for requests in flight, and for the sending to the sink under way. */
export const drainReceiversMsMax = 5000;
export const drainSinkMsMax = 1500;

/** Verifier: lines out of place that are paired with missing ones; further ones are only counted. */
export const strayLinesMax = 10_000;
/** Verifier: places of missing records that are kept in the tree; behind more it is not compared. */
export const missingLeavesMax = 4_000_000;
/** Verifier: failures and recoveries that a report lists; further ones are only counted. */
export const failuresListedMax = 1000;
/** Verifier: bytes read from a segment at a time. */
export const verifyChunkBytes: number = MIB;

/** Redaction: bytes of one value that detectors look into; a longer one with candidates is masked. */
export const redactionValueBytesMax: number = 16 * MIB;
/** Redaction: values of one JSON text; one with more that has candidates is masked. */
export const redactionJsonValuesMax = 1_000_000;
/** Redaction: hits in one text; one with more is masked. */
export const redactionHitsMax = 250_000;
/** Redaction: levels of JSON inside JSON strings; a deeper value with candidates is masked. */
export const redactionNestingMax = 8;
/** Redaction: levels of messages that are told apart in a field that the schema does not know. */
export const unknownLevelsMax = 16;

/** Publish: time between two looks at what is due. */
export const publishPollMs = 1000;
/** Publish: time for the bucket to answer a question. */
export const bucketAnswerMsMax: number = 10 * 1000;
/** Publish: time for the bucket to take one object. */
export const bucketWriteMsMax: number = 60 * 1000;
/** Publish: time after which an attempt that is still under way is told of. */
export const publishAttemptMsUsual: number = 10 * 1000;
/** Publish: wait before the bucket is tried again, doubled from the first to the second. */
export const publishRetryMsMin = 1000;
export const publishRetryMsMax: number = 60 * 1000;

/** Command line: records that `tail` shows of the past. */
export const tailLinesMax = 10_000;
/** Command line: how often `tail --follow` looks for new records. */
export const tailPollMs = 250;
