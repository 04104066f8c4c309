/** What is told of anything that was thrown, whoever threw it. */

/** The message of anything that was thrown, for a reason that a person reads. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whether it is an error of node with this code, such as ENOENT. */
export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
