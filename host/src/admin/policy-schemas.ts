import { ACTIONS } from '@entrepot/core';
import { POLICY_MODES } from '@entrepot/core/engine';
import { z } from 'zod';
import { amount, bytes, instant, named, trimmedText } from '../http/operations/schemas.js';

const names = z.array(z.string());

/** A package, as it was parsed. */
export const coordinates = named(
  'PackageCoordinates',
  'A package, with or without a version.',
  z.object({ ecosystem: z.string(), name: z.string(), version: z.string().optional() }),
);

/** The effect of a rule, and of a decision. */
export const action = z.enum(ACTIONS);

const firedRule = named(
  'FiredRule',
  'A rule that fired.',
  z.object({
    id: z.string(),
    action,
    wouldBe: action.optional().describe('Its effect if it were enforced.'),
    reason: z.string(),
    findings: names.optional(),
    malicious: z.boolean().optional(),
  }),
);

/** Rules that fired. */
export const firedRules = z.array(firedRule);

/** The strongest action of all rules that fired. */
export const decision = named(
  'PolicyDecision',
  'The strongest action of all rules that fired, and those rules.',
  z.object({
    action,
    rules: firedRules,
    exceptions: names.optional(),
    wouldBe: action.optional().describe('The action if every rule were enforced.'),
    pending: z.boolean().optional().describe('Whether a rule waits for reports of scanners.'),
    nextChangeAt: instant.optional().describe('When it can change by time alone.'),
  }),
);

/** The outcome of one rule. */
export const ruleOutcome = named(
  'RuleOutcome',
  'The outcome of one rule.',
  z.object({
    id: z.string(),
    action,
    mode: z.enum(POLICY_MODES),
    state: z.enum(['fired', 'silent', 'unknown', 'pending', 'unmatched', 'excepted', 'grace', 'overridden', 'off']),
    reason: z.string().optional(),
    findings: names.optional(),
    exceptions: names.optional(),
  }),
);

const severity = z.enum(['critical', 'high', 'medium', 'low', 'none', 'unknown']);

/** An advisory on one subject. */
export const finding = named(
  'Finding',
  'One vulnerability in one subject.',
  z.object({
    id: z.string(),
    aliases: names,
    severity,
    cvss: z.number().optional(),
    malicious: z.boolean().optional(),
    exploited: z.boolean().optional(),
    epss: z.number().optional(),
    fixedIn: names,
    component: z.string().optional(),
    confidence: z.enum(['exact', 'cpe']).optional(),
    publishedAt: instant.optional(),
    title: z.string().optional(),
    url: z.string().optional(),
    source: z.string(),
  }),
);

/** The latest report of a scanner. */
export const report = named(
  'ScanReport',
  'The latest report of one scanner on one subject.',
  z.object({
    coordinates,
    digest: z.string().optional(),
    scanner: z.string(),
    revision: z.string(),
    state: z.enum(['clean', 'findings', 'unsupported', 'error', 'stale']),
    scannedAt: instant,
    coverage: z.enum(['full', 'partial']).optional(),
    findings: z.array(finding),
    detail: z.string().optional(),
  }),
);

/** The statements of documents about a version. */
export const facts = named(
  'Facts',
  'The facts that documents state about a version. What is absent is unknown.',
  z.looseObject({}),
);

/** A version that policy holds, or that an administrator decided on. */
export const quarantined = named(
  'Quarantined',
  'A version that policy holds, or that an administrator decided on.',
  z.object({
    repository: z.string(),
    coordinates,
    state: z.enum(['held', 'released', 'denied']),
    rules: names,
    heldAt: instant,
    askedAt: instant,
    until: instant.optional().describe('When it is released by itself.'),
    decidedAt: instant.optional(),
    decidedBy: z.string().optional(),
    note: z.string().optional(),
  }),
);

/** A decision that a client met. */
export const decisionRecord = named(
  'DecisionRecord',
  'A decision that a client met.',
  z.object({
    at: instant,
    repository: z.string(),
    coordinates,
    stage: z.enum(['request', 'content']),
    action,
    wouldBe: action.optional(),
    rules: firedRules,
    exceptions: names.optional(),
    caller: z.string().optional(),
    policy: z.string().describe('The revision of the policy that decided.'),
  }),
);

/** An exception from rules. */
export const exception = named(
  'Exception',
  'An approved, temporary exception from rules.',
  z.object({
    id: z.string(),
    scope: z.object({ repositories: names.optional(), purl: names.optional(), versions: names.optional() }),
    rules: names.optional(),
    advisories: names.optional(),
    approvedBy: names,
    expiresAt: instant,
    active: z.boolean(),
    kind: z.enum(['risk-accepted', 'false-positive']),
    reason: z.string(),
    ticket: z.string().optional(),
    requestedBy: names,
    createdAt: instant,
    lastUsedAt: instant.optional(),
    changes: z
      .array(
        z.object({
          at: instant,
          by: z.string().optional(),
          active: z.boolean().optional(),
          expiresAt: instant.optional(),
          reason: z.string().optional(),
          ticket: z.string().optional(),
          approvedBy: names.optional(),
        }),
      )
      .optional()
      .describe('The last changes, each with what there was before it.'),
  }),
);

/** Downloads of one version by one caller on one day. */
export const download = named(
  'Download',
  'The downloads of one version by one caller on one day.',
  z.object({
    repository: z.string(),
    coordinates,
    purl: z.string(),
    digest: z.string().optional(),
    caller: z.string().optional(),
    address: z.string().optional(),
    firstAt: instant,
    lastAt: instant,
    times: amount,
  }),
);

/** Something that is wrong with the configuration. */
export const configurationProblem = named(
  'ConfigurationProblem',
  'Something that is wrong with the configuration.',
  z.object({ path: z.string(), message: z.string() }),
);

/** The kept files of a version. */
export const keptBytes = z.object({ key: z.string(), digest: z.string(), size: bytes, fetchedAt: instant });

/** The name of whoever answers for a change. */
export const by = trimmedText(500).optional().describe('Who answers for it, where credentials do not tell.');
/** Why something is changed. */
export const reason = trimmedText(500);
