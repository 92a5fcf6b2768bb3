import type { Finding, PolicyDecision, PolicyInput, ScanReport } from '@entrepot/core';
import type { PolicyDocument, PolicyException, PolicyOptions } from '@entrepot/core/engine';
import { compileForTests, contentScanner, database, finding, report, request } from './fixtures.js';

/** The time of every case. */
export const NOW = Date.parse('2026-03-10T12:00:00Z');

/** A case of a golden file. Dates are written as text; what is not said is as in `request`. */
export interface GoldenCase {
  readonly name: string;
  readonly policy: PolicyDocument;
  readonly exceptions?: readonly PolicyException[];
  /** Findings of a scanner's lookup, by name and version. */
  readonly database?: Readonly<Record<string, readonly Partial<Finding>[]>>;
  /** A scanner that has to see the bytes is there, too. */
  readonly contentScanner?: boolean;
  readonly input: Omit<Partial<PolicyInput>, 'reports'> & { readonly reports?: readonly Partial<ScanReport>[] };
  readonly expect: unknown;
}

const DATES: ReadonlySet<string> = new Set(['publishedAt', 'storedAt', 'firstSeenAt', 'expiresAt']);

export function readCases(text: string): GoldenCase[] {
  return JSON.parse(text, (key, value: unknown) =>
    DATES.has(key) && typeof value === 'string' ? Date.parse(value) : value,
  ) as GoldenCase[];
}

export function subjectOf({ policy, exceptions = [], database: known, contentScanner: content, input }: GoldenCase): {
  readonly options: PolicyOptions;
  readonly input: PolicyInput;
} {
  const whole = (findings: readonly Partial<Finding>[] = []): Finding[] =>
    findings.map((partial) => finding(partial.id ?? '', partial));
  const scanners = [
    ...(known === undefined
      ? []
      : [database(Object.fromEntries(Object.entries(known).map(([name, findings]) => [name, whole(findings)])))]),
    ...(content === true ? [contentScanner] : []),
  ];
  const reports = input.reports?.map((partial) =>
    report(whole(partial.findings), { ...partial, findings: whole(partial.findings) }),
  );
  return {
    options: { document: policy, scanners, exceptions: () => exceptions, compileExpression: compileForTests },
    input: request(NOW, { ...input, reports }),
  };
}

/** A decision as golden files write it: codes and members. Sentences have a test of their own. */
export function printDecision({ action, rules, exceptions, wouldBe, pending, nextChangeAt }: PolicyDecision): object {
  return {
    action,
    ...(rules.length > 0 && {
      rules: rules.map(({ id, action: does, wouldBe: would, findings, malicious }) => ({
        id,
        action: does,
        ...(would !== undefined && { wouldBe: would }),
        ...(findings !== undefined && { findings }),
        ...(malicious !== undefined && { malicious }),
      })),
    }),
    ...(exceptions !== undefined && { exceptions }),
    ...(wouldBe !== undefined && { wouldBe }),
    ...(pending !== undefined && { pending }),
    ...(nextChangeAt !== undefined && { nextChangeAt: new Date(nextChangeAt).toISOString() }),
  };
}
