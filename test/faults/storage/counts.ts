/** What a scenario must never find, and how often it looked. */
export interface Counts {
  /** Faults that were made and recovered from. */
  runs: number;
  /** Records that were acknowledged and are not in the log. */
  acknowledgedLost: number;
  /** Records that nobody sent, that stand twice, or that were forwarded without standing in the log. */
  invented: number;
  /** A start or a verification that says of a sound ledger that it is not. */
  falseAlarms: number;
  /** Losses that the verification does not see. */
  undetected: number;
  /** Acknowledged requests that the sink never received. */
  forwardLost: number;
  /** One line each, for whoever has to mend it. */
  readonly problems: string[];
}

export function noCounts(): Counts {
  return {
    runs: 0,
    acknowledgedLost: 0,
    invented: 0,
    falseAlarms: 0,
    undetected: 0,
    forwardLost: 0,
    problems: [],
  };
}

export function addCounts(total: Counts, more: Counts): void {
  total.runs += more.runs;
  total.acknowledgedLost += more.acknowledgedLost;
  total.invented += more.invented;
  total.falseAlarms += more.falseAlarms;
  total.undetected += more.undetected;
  total.forwardLost += more.forwardLost;
  total.problems.push(...more.problems);
}

interface Findings {
  /** By name: what senders heard success for. */
  readonly acknowledged: readonly string[];
  /** By name: everything that was ever sent. */
  readonly sent: ReadonlySet<string>;
  /** By name, in the order of the log. */
  readonly recorded: readonly string[];
  /** By name: what the sink received; undefined where there is none. */
  readonly forwarded: ReadonlySet<string> | undefined;
  /** What the verification calls a failure. */
  readonly failures: readonly string[];
}

/** Counts one run, whose recovery came to an end. */
export function countRun(findings: Findings): Counts {
  const { acknowledged, sent, recorded, forwarded, failures } = findings;
  const there = new Set(recorded);
  const lost = acknowledged.filter((name) => !there.has(name));
  const twice = recorded.filter((name, at) => recorded.indexOf(name) !== at);
  const unknown = recorded.filter((name) => !sent.has(name));
  const unrecorded = [...(forwarded ?? [])].filter((name) => !there.has(name));
  const missing = acknowledged.filter((name) => forwarded?.has(name) === false);
  const isUnseen = lost.length > 0 && failures.length === 0;
  const told = (what: string, names: readonly string[]): string[] =>
    names.length === 0 ? [] : [`${what}: ${names.join(", ")}`];
  return {
    runs: 1,
    acknowledgedLost: lost.length,
    invented: twice.length + unknown.length + unrecorded.length,
    falseAlarms: lost.length === 0 ? failures.length : 0,
    undetected: isUnseen ? lost.length : 0,
    forwardLost: missing.length,
    problems: [
      ...told("acknowledged and lost", lost),
      ...told("recorded twice", twice),
      ...told("recorded but never sent", unknown),
      ...told("forwarded but not recorded", unrecorded),
      ...told("acknowledged but not forwarded", missing),
      ...told("verification", failures),
    ],
  };
}

/** A run that could not be brought to an end: the ledger is sound and does not start or go on. */
export function countStuck(error: unknown): Counts {
  return { ...noCounts(), runs: 1, falseAlarms: 1, problems: [String(error)] };
}
