/** A time that nothing waits out: what depends on it ends before it, or fails its test. */
export const beyondTheTestMs = 3_600_000;
