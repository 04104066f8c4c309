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

/** Ledger: one segment file before it is closed. */
export const segmentBytesMax: number = 64 * MIB;
/** Ledger: bytes of one group commit. */
export const groupBytesMax: number = 16 * MIB;
/** Ledger: records between two local checkpoints, which bounds the work at start. */
export const checkpointRecordsMax = 65_536;
/** Ledger: ids remembered to recognise a repeat. */
export const dedupeWindowRecords = 1_000_000;
/** Ledger: a tlog-tiles tile holds 256 hashes. */
export const tileWidth = 256;

/** Names of namespaces and tenants: length in characters. */
export const chainNameCharsMax = 128;
/** Chains of one ledger. */
export const chainsMax = 100_000;

/** Notes: bytes of one signed note, and its signature lines (the format demands at least 16). */
export const noteBytesMax: number = 64 * KIB;
export const noteSignaturesMax = 64;
/** Names of namespaces and tenants: length in bytes of UTF-8, as a line may hold them. */
export const chainNameBytesMax: number = 4 * chainNameCharsMax;
/** Ledger: one line of a segment, head and body with their line feed. */
export const lineBytesMax: number = 16 * MIB;
/** Ledger: the descriptor `ledger.json`. */
export const descriptorBytesMax: number = 4 * KIB;

/** Audit: traces of which `prepare` remembers whether an agent takes part, and their chain. */
export const traceMemoryTraces = 65_536;
/** Audit: attributes of one span or log record. */
export const attributesPerItemMax = 1_000_000;
