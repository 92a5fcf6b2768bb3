import { z } from 'zod';
import { operation } from '../http/operations/operation.js';
import { amount, instant, limitOf, named, plainText, purlText, repositoryName } from '../http/operations/schemas.js';
import {
  action,
  configurationProblem,
  decision,
  decisionRecord,
  download,
  facts,
  finding,
  firedRules,
  keptBytes,
  quarantined,
  report,
  ruleOutcome,
} from './policy-schemas.js';

const ROOT = '/-/api/v1';
const MOST_ROWS = 10_000;
const common = { tag: 'policy', access: 'administrator' } as const;
const texts = z.array(z.string());

const document = named(
  'PolicyDocument',
  'A policy, as a policy file holds it: docs/policy.md.',
  z.looseObject({ version: z.literal(1).optional() }),
);

const status = named(
  'PolicyStatus',
  'The policy in force.',
  z.object({
    revision: z.string(),
    document: document.optional().describe('With its preset. Absent: there is none.'),
    file: z.string().optional(),
    since: instant,
    problems: z
      .array(configurationProblem)
      .describe('Problems of the current file, which keep it from being in force.'),
  }),
);

const simulated = named(
  'SimulatedPolicy',
  'Served downloads that a candidate would refuse.',
  z.object({
    judged: amount.describe('The number of different downloads.'),
    refused: z.array(
      z.object({
        repository: z.string(),
        purl: z.string(),
        action,
        rules: firedRules,
        callers: texts,
        addresses: texts,
        times: amount,
      }),
    ),
  }),
);

/** The decision on a version in one repository. */
export const explanation = named(
  'Explanation',
  'The decision on a version in one repository, and all that it was based on.',
  z.object({
    repository: z.string(),
    purl: z.string(),
    exists: z.boolean().optional().describe('`false`: neither kept nor listed by the upstream. Absent: unknown.'),
    decision,
    rules: z.array(ruleOutcome),
    facts,
    kept: keptBytes.optional(),
    reports: z.array(report),
    findings: z.array(finding),
    quarantine: quarantined.optional(),
    hidden: z
      .array(z.object({ purl: z.string(), decision }))
      .optional()
      .describe('Versions that the document lists and clients do not see. Only for a name without a version.'),
    lastDecisions: z.array(decisionRecord),
  }),
);

/** The explanations of all repositories that may serve a version. */
export const explanations = z.object({ explanations: z.array(explanation) });

const ofRepository = repositoryName.optional().describe('Left out: all.');

/** Questions on policy. */
export const POLICY = {
  get: operation({
    ...common,
    id: 'getPolicy',
    summary: 'Reads the policy in force.',
    method: 'get',
    path: `${ROOT}/policy`,
    replies: { 200: { description: 'The policy.', json: status } },
  }),
  simulate: operation({
    ...common,
    id: 'simulatePolicy',
    summary: 'Judges what was served lately by another policy.',
    method: 'post',
    path: `${ROOT}/policy/simulate`,
    query: z.strictObject({ days: limitOf(30, 3_650).describe('The number of days that are looked at.') }),
    body: { schema: document, types: ['application/json', 'application/yaml'] },
    replies: { 200: { description: 'What it would refuse.', json: simulated } },
  }),
  decisions: operation({
    ...common,
    id: 'listDecisions',
    summary: 'Lists decisions that clients met, the newest first.',
    method: 'get',
    path: `${ROOT}/decisions`,
    query: z.strictObject({
      purl: purlText.optional(),
      repository: ofRepository,
      limit: limitOf(100, MOST_ROWS),
    }),
    replies: { 200: { description: 'The decisions.', json: z.object({ decisions: z.array(decisionRecord) }) } },
  }),
  explain: operation({
    ...common,
    id: 'explain',
    summary: 'Explains the decision on a version, or on a name.',
    method: 'get',
    path: `${ROOT}/explain`,
    query: z.strictObject({ purl: purlText, repository: ofRepository }),
    replies: { 200: { description: 'An explanation for each repository that may serve it.', json: explanations } },
  }),
  impact: operation({
    ...common,
    id: 'getImpact',
    summary: 'Lists what is kept, and who was served, of a package or an advisory.',
    method: 'get',
    path: `${ROOT}/impact`,
    query: z.strictObject({
      purl: purlText.optional(),
      advisory: plainText(200).optional().describe('The id of an advisory, or another name of it.'),
      vuln: plainText(200).optional().describe('Another name of `advisory`.'),
      format: z.enum(['json', 'csv']).optional(),
    }),
    replies: {
      200: {
        description: 'What it affects.',
        json: z.object({
          kept: z.array(z.object({ repository: z.string(), purl: z.string(), digest: z.string(), fetchedAt: instant })),
          downloads: z.array(download),
        }),
        texts: ['text/csv'],
      },
    },
  }),
};
