import type { PackageCoordinates } from '../api/coordinates.js';
import type { FactName } from '../api/facts.js';
import type { FirstFetch, PolicyAction, PolicyEngine, PolicyInput } from '../api/policy.js';
import type { Finding, Scanner } from '../api/scanner.js';
import type { PolicyDocument, PolicyMode } from './document.js';
import type { PolicyException } from './exception.js';

export type { FirstFetch };

/** A scanner that policy may ask while it decides. */
export interface PolicyScanner {
  /** As in `ScanReport.scanner`: what it says by `lookup` stands in place of its kept reports. */
  readonly id: string;
  readonly scanner: Pick<Scanner, 'subjects' | 'lookup' | 'revision'>;
}

/** What an expression sees. A fact that is not known is `false`, `''` or empty; `known` names those that are. */
export interface ExpressionScope extends Record<FactName, unknown> {
  readonly purl: PackageCoordinates & { readonly version: string };
  readonly repository: PolicyInput['repository'];
  readonly known: readonly string[];
  readonly findings: readonly Finding[];
  /** Bytes; 0 when it is not known. */
  readonly size: number;
}

/**
 * Compiles an expression. The result is pure and bounded.
 * @throws Error when it does not parse; its message is shown to who wrote it
 */
export type CompileExpression = (text: string) => (scope: ExpressionScope) => boolean;

/** What a policy is made from. */
export interface PolicyOptions {
  /** Is checked again. */
  readonly document: PolicyDocument;
  /** Those whose `lookup` is asked, and those whose reports are waited for. */
  readonly scanners?: readonly PolicyScanner[] | undefined;
  /** Called often: gives the same array as long as nothing has changed. */
  readonly exceptions?: (() => readonly PolicyException[]) | undefined;
  /** Absent: expressions are a problem of the document. */
  readonly compileExpression?: CompileExpression | undefined;
}

/** What became of one rule in a decision. */
export interface RuleOutcome {
  readonly id: string;
  readonly action: PolicyAction;
  /** The weakest of file, repository and rule. */
  readonly mode: PolicyMode;
  /**
   * `fired`; `silent`: it is not so; `unknown`: a fact that it needs is not known; `pending`: it waits for the bytes or their reports;
   * `unmatched`: it is not about this; `excepted`, `grace`, `overridden`: it would have fired, but for this; `off`.
   */
  readonly state:
    'fired' | 'silent' | 'unknown' | 'pending' | 'unmatched' | 'excepted' | 'grace' | 'overridden' | 'off';
  /** Why; for states in which it fired or would have. */
  readonly reason?: string | undefined;
  readonly findings?: readonly string[] | undefined;
  readonly exceptions?: readonly string[] | undefined;
}

/** A policy from a document. */
export interface Policy extends PolicyEngine {
  /** The document with its preset: what is in force. */
  readonly document: PolicyDocument;
  /** What became of every rule, in the order of the document. */
  explain(input: PolicyInput): readonly RuleOutcome[];
  /** For a decision that is `pending` at the stage `content`. */
  firstFetch(repository: string): FirstFetch;
  /** Whether a rule is enforced. */
  enforces(): boolean;
}
