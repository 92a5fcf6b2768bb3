import type { PackageCoordinates } from '../api/coordinates.js';
import type { FactName } from '../api/facts.js';
import type { FirstFetch, PolicyAction, PolicyEngine, PolicyInput } from '../api/policy.js';
import type { Finding, Scanner } from '../api/scanner.js';
import type { PolicyDocument, PolicyMode } from './document.js';
import type { PolicyException } from './exception.js';

export type { FirstFetch };

/** A scanner that policy may query while it decides. */
export interface PolicyScanner {
  /** As in `ScanReport.scanner`: the results of `lookup` replace its stored reports. */
  readonly id: string;
  readonly scanner: Pick<Scanner, 'subjects' | 'lookup' | 'revision'>;
}

/** The variables of an expression. An unknown fact is `false`, `''` or empty; `known` lists the known ones. */
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
 * @throws Error when it does not parse; its message is shown to the author
 */
export type CompileExpression = (text: string) => (scope: ExpressionScope) => boolean;

export interface PolicyOptions {
  /** Validated again. */
  readonly document: PolicyDocument;
  /** Scanners whose `lookup` is called, or whose reports are waited for. */
  readonly scanners?: readonly PolicyScanner[] | undefined;
  /** Called often. Must return the same array as long as nothing has changed. */
  readonly exceptions?: (() => readonly PolicyException[]) | undefined;
  /** Absent: expressions are a problem of the document. */
  readonly compileExpression?: CompileExpression | undefined;
}

/** The outcome of one rule in a decision. */
export interface RuleOutcome {
  readonly id: string;
  readonly action: PolicyAction;
  /** The weakest of file, repository and rule. */
  readonly mode: PolicyMode;
  /**
   * - `fired`;
   * - `silent`: its condition does not hold;
   * - `unknown`: it needs an unknown fact;
   * - `pending`: it needs the bytes or their reports;
   * - `unmatched`: it is not about this subject;
   * - `excepted`, `grace`, `overridden`: it holds, but one of these applies;
   * - `off`.
   */
  readonly state:
    'fired' | 'silent' | 'unknown' | 'pending' | 'unmatched' | 'excepted' | 'grace' | 'overridden' | 'off';
  /** The evidence, for states in which the condition holds. */
  readonly reason?: string | undefined;
  readonly findings?: readonly string[] | undefined;
  readonly exceptions?: readonly string[] | undefined;
}

/** A policy from a document. */
export interface Policy extends PolicyEngine {
  /** The document merged with its preset. */
  readonly document: PolicyDocument;
  /** Computes the outcome of every rule, in the order of the document. */
  explain(input: PolicyInput): readonly RuleOutcome[];
  /** For a decision that is `pending` at the stage `content`. */
  firstFetch(repository: string): FirstFetch;
  /** Whether a rule is enforced. */
  enforces(): boolean;
}
