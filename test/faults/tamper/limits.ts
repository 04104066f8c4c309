/** What a reader cannot see, or need not: each with the reason, as it stands in the table. */
import type { Unchecked } from "../../../src/ledger/verify/report.ts";

interface Limit {
  readonly reason: string;
  /** What the report names as not checked where this happened. */
  readonly said?: Unchecked["what"];
  /** Of the reader with a trusted key; 0 where absent. A reader without one is at 2 anyway. */
  readonly exitCode?: 2;
}

const reasons = {
  L1: {
    reason:
      "behind the newest root nothing but MACs binds the records: without the chain key a change there is not seen",
    said: "tail",
  },
  L2: {
    reason:
      "a cut behind the newest root leaves a log that once was whole: only who saw a later state knows (a newer root, the spool, a sink)",
    said: "tail",
  },
  L3: {
    reason:
      "an older root says nothing that the newest one does not: it is read where it is there, and not missed",
  },
  L4: {
    reason:
      "a partial tile of an older root may go once a wider one is there (C2SP tlog-tiles); where it is there it is compared",
  },
  L5: {
    reason:
      "a bucket that was away and one that was taken back look the same; the ledger still has the newer root",
    said: "bucket",
  },
  L6: {
    reason: "ledger and bucket taken back together are a log that once was whole",
  },
  L7: {
    reason: "without a trusted key another whole log cannot be told from this one",
    said: "identity",
  },
  L8: {
    reason: "without the bucket a ledger that was taken back as a whole once was whole",
  },
  L9: {
    reason:
      "bytes behind the last line feed are a line being written; they are no record and a start sets them aside",
    said: "incomplete_line",
  },
  L10: {
    reason:
      "between keeping a root and naming it the newest a publisher may stop: the kept one counts",
  },
  L11: {
    reason: "without its newest root the log has nothing that a trusted key signed",
    exitCode: 2,
  },
  H1: {
    reason:
      "a signature by a key that nobody knows, or once more, is to be ignored (C2SP signed-note): it adds no trust",
  },
  H2: {
    reason:
      "what a level's file of the ledger holds beyond the tree of its root is not yet evidence",
  },
  H3: {
    reason: "an empty segment named for the next record is how one begins",
  },
  H4: {
    reason: "who does not have the bucket is not misled by it",
  },
} as const satisfies Record<string, Limit>;

export type LimitId = keyof typeof reasons;
export const limits: Readonly<Record<LimitId, Limit>> = reasons;
