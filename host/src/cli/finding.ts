/** The result of one check. */
export interface Finding {
  readonly status: 'ok' | 'warn' | 'fail';
  readonly check: string;
  /** The finding, and what to do about it. Holds no secret. */
  readonly detail: string;
}

export function finding(status: Finding['status'], check: string, detail: string): Finding {
  return { status, check, detail };
}
