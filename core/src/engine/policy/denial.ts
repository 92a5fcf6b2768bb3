import type { PackageCoordinates } from '../../api/coordinates.js';
import { packageUrl } from '../../api/coordinates.js';
import { EntrepotError } from '../../api/errors.js';
import type { PolicyAction, PolicyDecision } from '../../api/policy.js';
import type { Judgement } from './judgement.js';

/** The longest reason phrase. Clients cut longer ones, some in the middle of the URL. Characters. */
const LONGEST_PHRASE = 160;
/** A URL that is longer leaves no room for the rule. */
const LONGEST_URL = 110;
/** The number of findings that a message names: the rest is in the explanation. */
const NAMED_FINDINGS = 3;

const DONE: Readonly<Record<PolicyAction, string>> = {
  deny: 'denied',
  hold: 'held',
  hide: 'hidden',
  warn: 'allowed with a warning',
  allow: 'allowed',
};

/** A refusal by policy, before it is known how the client reaches us. */
export class Denial extends EntrepotError {
  readonly judgement: Judgement;

  constructor(judgement: Judgement) {
    super('policy-denied', denialText(judgement.coordinates, judgement.decision));
    this.judgement = judgement;
  }

  /** Finds the refusal in `error`. (`instanceof` tells all of our errors from others, not one from another.) */
  static in(error: unknown): Denial | undefined {
    return error instanceof EntrepotError && 'judgement' in error && 'shownAt' in error ? (error as Denial) : undefined;
  }

  /** Makes the error for a client, with the URL of the explanation. */
  shownAt(baseUrl: string): EntrepotError {
    const { coordinates, decision } = this.judgement;
    return new EntrepotError('policy-denied', denialText(coordinates, decision, baseUrl), {
      code: this.code,
      reasonPhrase: denialPhrase(coordinates, decision, baseUrl),
    });
  }
}

/** Makes the URL of the page that explains a decision, on the server that the client talks to. */
export function explanationUrl(coordinates: PackageCoordinates, baseUrl: string): string {
  return `${new URL(baseUrl).origin}/-/explain/${packageUrl(coordinates)}`;
}

/** Tells why `coordinates` are refused: the rules with their reasons, and the URL of the explanation. */
export function denialText(coordinates: PackageCoordinates, decision: PolicyDecision, baseUrl?: string): string {
  const reasons = decisive(decision).map(({ id, reason, findings }) => {
    return `${reason} (rule ${id}${named(findings, reason)})`;
  });
  const text = `${packageUrl(coordinates)} is ${DONE[decision.action]}: ${reasons.join('; ')}`;
  return baseUrl === undefined ? text : `${text}. See ${explanationUrl(coordinates, baseUrl)}`;
}

/** Tells it within a status line: the rule first, then what it found, and the URL where there is room for it. */
function denialPhrase(coordinates: PackageCoordinates, decision: PolicyDecision, baseUrl: string): string {
  const rules = decisive(decision).map(({ id, findings: [finding] = [] }) => {
    return finding === undefined ? id : `${id} (${finding})`;
  });
  return phraseOf(
    `Forbidden: ${DONE[decision.action]} by ${rules.join(', ')}. See ${explanationUrl(coordinates, baseUrl)}`,
  );
}

/** Shortens `text` to a status line. The rule and the URL at its end stay whole, if they leave room for anything else. */
export function phraseOf(text: string): string {
  const line = printable(text);
  if (line.length <= LONGEST_PHRASE) return line;
  const [, before = line, rule = '', url = ''] = /^(.*?)( \(rule [^()]*\))?\.? See (\S+)$/.exec(line) ?? [];
  if (url === '' || url.length > LONGEST_URL) return before.slice(0, LONGEST_PHRASE);
  const end = rule.length + url.length > LONGEST_URL ? ` ${url}` : `${rule} ${url}`;
  return `${before.slice(0, LONGEST_PHRASE - end.length)}${end}`;
}

/** Replaces what a header or a status line cannot hold. */
export function printable(text: string): string {
  return text.replaceAll(/[^\u0020-\u007e]+/g, '?');
}

function decisive({ action, rules }: PolicyDecision): PolicyDecision['rules'] {
  return rules.filter((rule) => rule.action === action);
}

function named(findings: readonly string[] = [], reason: string): string {
  const others = findings.filter((id) => !reason.includes(id)).slice(0, NAMED_FINDINGS);
  return others.length === 0 ? '' : `: ${others.join(', ')}`;
}
