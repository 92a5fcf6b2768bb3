import type { Finding, Severity } from '@entrepot/core';
import { fieldsOf, listOf, textOf, textsOf, type Fields } from '@entrepot/core/formats';
import { toolErrors, type ReportedFinding, type ReportedPackage } from '@entrepot/core/tool';
import { isKnownSystem } from './systems.js';

const SEVERITIES: Readonly<Record<string, Severity>> = {
  critical: 'critical',
  high: 'high',
  medium: 'medium',
  low: 'low',
  negligible: 'low',
};
/** "Embedded malicious code". */
const MALICIOUS = 'CWE-506';

const { failed } = toolErrors('grype');

/**
 * Reads what `-o json` prints.
 * @throws EntrepotError `scan-unavailable`: what cannot be read might be a finding
 */
export function readMatches(report: object): {
  readonly found: readonly ReportedFinding[];
  /** The distribution of an image is one that Grype knows. */
  readonly isKnown: boolean;
} {
  const { matches, distro } = report as Fields;
  if (!Array.isArray(matches)) throw failed('expected a list of matches');
  const name = textOf(fieldsOf(distro).name);
  return {
    isKnown: name !== undefined && isKnownSystem(name),
    found: listOf(matches).map((match) => ({ in: packageOf(fieldsOf(match.artifact)), finding: findingOf(match) })),
  };
}

/** Reads what `-o cyclonedx-json` prints: the packages that it has read, with findings or without. */
export function readPackages(list: object): readonly ReportedPackage[] {
  const { bomFormat, components } = list as Fields;
  if (bomFormat !== 'CycloneDX') throw failed('expected a CycloneDX document');
  return listOf(components)
    .filter(({ type }) => type === 'library' || type === 'application')
    .map(packageOf);
}

function packageOf({ purl, name, version }: Fields): ReportedPackage {
  return { url: textOf(purl), name: textOf(name) ?? '', version: textOf(version) ?? '' };
}

function findingOf({ vulnerability, relatedVulnerabilities, matchDetails }: Fields): Finding {
  const own = fieldsOf(vulnerability);
  const related = listOf(relatedVulnerabilities);
  const id = textOf(own.id);
  if (id === undefined) throw failed('expected the id of a vulnerability');
  // What the distribution or the forge does not say, the NVD's record of it may.
  const all = [own, ...related];
  const details = listOf(matchDetails);
  const isGuessed = details.length > 0 && details.every(({ type }) => type === 'cpe-match');
  const names = new Set(related.map((each) => textOf(each.id)).filter((name) => name !== undefined));
  names.delete(id);
  const cwes = all.flatMap((each) => listOf(each.cwes));
  return {
    id,
    aliases: [...names],
    severity: SEVERITIES[textOf(own.severity)?.toLowerCase() ?? ''] ?? 'unknown',
    cvss: firstOf(all, scoreOf),
    malicious: id.startsWith('MAL-') || cwes.some(({ cwe }) => cwe === MALICIOUS),
    exploited: all.some(({ knownExploited }) => listOf(knownExploited).length > 0),
    epss: firstOf(all, probabilityOf),
    fixedIn: textsOf(fieldsOf(own.fix).versions),
    confidence: isGuessed ? 'cpe' : 'exact',
    title: firstOf(all, ({ description }) => textOf(description)?.split('\n', 1)[0]),
    url: textOf(own.dataSource),
    source: textOf(own.namespace) ?? 'grype',
  };
}

function firstOf<Value>(all: readonly Fields[], read: (each: Fields) => Value | undefined): Value | undefined {
  for (const each of all) {
    const value = read(each);
    if (value !== undefined) return value;
  }
  return undefined;
}

function scoreOf({ cvss }: Fields): number | undefined {
  return highest(
    listOf(cvss).map(({ metrics }) => fieldsOf(metrics).baseScore),
    10,
  );
}

function probabilityOf({ epss }: Fields): number | undefined {
  return highest(
    listOf(epss).map((each) => each.epss),
    1,
  );
}

function highest(values: readonly unknown[], most: number): number | undefined {
  const numbers = values.filter((value) => typeof value === 'number' && value >= 0 && value <= most) as number[];
  return numbers.length === 0 ? undefined : Math.max(...numbers);
}
