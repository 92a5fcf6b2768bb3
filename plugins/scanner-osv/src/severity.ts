import calculator from 'ae-cvss-calculator';
import type { Severity } from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';
import type { OsvSeverity } from './osv-record.js';

/** A severity: a level, and the CVSS base score where there is one. */
export interface Rating {
  readonly severity: Severity;
  readonly cvss?: number | undefined;
}

const UNKNOWN: Rating = { severity: 'unknown' };

/** From the least to the worst; what is not known is below all. */
const LEVELS: readonly Severity[] = ['unknown', 'none', 'low', 'medium', 'high', 'critical'];
/** Words of databases and distributions. */
const WORDS: Readonly<Record<string, Severity>> = {
  none: 'none',
  negligible: 'low',
  unimportant: 'low',
  low: 'low',
  moderate: 'medium',
  medium: 'medium',
  important: 'high',
  high: 'high',
  critical: 'critical',
};
/** Newer first: a record with several vectors is judged by the newest, as its authors do. */
const VECTOR_TYPES = ['CVSS_V4', 'CVSS_V3', 'CVSS_V2'];

/** The rating that `severity[]` gives, else the word of the database, else `unknown`. */
export function ratingOf(severities: readonly OsvSeverity[], word: string | undefined): Rating {
  for (const type of VECTOR_TYPES) {
    const scores = severities.filter((severity) => severity.type === type).flatMap(({ score }) => scoreOf(score));
    if (scores.length > 0) {
      const cvss = Math.max(...scores);
      return { severity: levelOf(cvss), cvss };
    }
  }
  const words = [...severities.filter(({ type }) => !type.startsWith('CVSS')).map(({ score }) => score), word ?? ''];
  return words.map((each) => ({ severity: WORDS[each.toLowerCase()] ?? 'unknown' })).reduce(worse, UNKNOWN);
}

/** The worse of two ratings. Levels come before scores: a word may be worse than a score is. */
export function worse(one: Rating, other: Rating): Rating {
  const order = LEVELS.indexOf(one.severity) - LEVELS.indexOf(other.severity);
  const worst = order > 0 || (order === 0 && (one.cvss ?? -1) >= (other.cvss ?? -1)) ? one : other;
  const cvss = worst.cvss ?? one.cvss ?? other.cvss;
  return cvss === worst.cvss ? worst : { ...worst, cvss };
}

/** CVSS v3.1 §5, "Qualitative Severity Rating Scale". */
function levelOf(score: number): Severity {
  if (score <= 0) return 'none';
  if (score < 4) return 'low';
  if (score < 7) return 'medium';
  return score < 9 ? 'high' : 'critical';
}

/** Few vectors are common to most records, and arithmetic is slow. */
const scores = new Lru<readonly number[]>(10_000);

/** The overall score of a vector; none for garbage. */
function scoreOf(vector: string): readonly number[] {
  const kept = scores.get(vector);
  if (kept !== undefined) return kept;
  const score = computeScore(vector);
  scores.set(vector, score);
  return score;
}

function computeScore(vector: string): number[] {
  try {
    // An incomplete vector has no base score, and an overall one of 0.
    const score = calculator.fromVector(vector)?.calculateScores(false).base;
    return typeof score === 'number' && score >= 0 && score <= 10 ? [score] : [];
  } catch {
    return [];
  }
}
