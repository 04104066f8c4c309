/** What the verifier reads: nothing else is asked for, and nothing is written. */

export interface SegmentSource {
  /** File name, for places in the report. */
  readonly name: string;
  /** The index that the name gives to the first record; undefined for any other name. */
  readonly firstIndex: number | undefined;
  /** The bytes in order, in chunks of any size; each is valid until the next is asked for. */
  chunks(): AsyncIterable<Uint8Array>;
}

/** Where a tree's published files are: the ledger directory itself, or a log's prefix in a bucket. */
export interface TreeStore {
  /** The newest checkpoint, undefined where there is none. */
  checkpoint(): Promise<Uint8Array | undefined>;
  /** A file by its tlog-tiles path, `tile/0/000`; undefined where there is none. */
  tile(path: string): Promise<Uint8Array | undefined>;
}

export interface BucketSource extends TreeStore {
  /** Sizes of `checkpoints/<size>`, ascending. */
  checkpointSizes(): Promise<readonly number[]>;
  checkpointOfSize(size: number): Promise<Uint8Array | undefined>;
}

export interface LedgerSource extends TreeStore {
  /** The bytes of `ledger.json`. */
  descriptor(): Promise<Uint8Array>;
  /** In log order. Asked for after every checkpoint was read, so that none can be ahead of it. */
  segments(): Promise<readonly SegmentSource[]>;
  readonly bucket?: BucketSource;
}
