import type { Finding, Severity } from '@entrepot/core';
import { fieldsOf, textOf, textsOf, type Fields } from '@entrepot/core/formats';
import { toolErrors, type ReportedFinding, type ReportedPackage } from '@entrepot/core/tool';
import { isKnownFamily } from './systems.js';

const SEVERITIES: readonly string[] = ['critical', 'high', 'medium', 'low'] satisfies Severity[];
/** "Embedded malicious code". */
const MALICIOUS = 'CWE-506';

/** The members that identify a package, and those that identify the package of a finding. */
const PACKAGE = { identifier: 'Identifier', reference: 'Ref', name: 'Name', version: 'Version' };
const FINDING_PACKAGE = {
  identifier: 'PkgIdentifier',
  reference: 'PkgRef',
  name: 'PkgName',
  version: 'InstalledVersion',
};
const { failed } = toolErrors('trivy');

/** A package, or the package of a vulnerability, as far as the report identifies it. */
export interface TrivyPackage extends ReportedPackage {
  /** `bom-ref` of its component. */
  readonly reference?: string | undefined;
}

/** A report of Trivy. */
export interface TrivyReport {
  readonly packages: readonly TrivyPackage[];
  readonly found: readonly ReportedFinding<TrivyPackage>[];
  /** The distribution of an image; absent for none or an unknown one. */
  readonly system?: string | undefined;
}

/**
 * Reads a report of schema 2, as old builds (`Ref`, `PkgRef`) and new ones (`Identifier`, `PkgIdentifier`) write it.
 * @throws EntrepotError `scan-unavailable`: what cannot be read might be a finding
 */
export function readReport(report: object): TrivyReport {
  const { SchemaVersion: schema, Results: results, Metadata: metadata } = report as Fields;
  if (schema !== 2) throw failed(`expected a report of schema 2, found ${String(schema)}`);
  const packages: TrivyPackage[] = [];
  const found: ReportedFinding<TrivyPackage>[] = [];
  for (const result of listOf(results, 'Results')) {
    for (const each of listOf(result.Packages, 'Packages')) {
      packages.push(packageOf(each, PACKAGE));
    }
    for (const each of listOf(result.Vulnerabilities, 'Vulnerabilities')) {
      found.push({ in: packageOf(each, FINDING_PACKAGE), finding: findingOf(each) });
    }
  }
  const family = textOf(fieldsOf(fieldsOf(metadata).OS).Family);
  return { packages, found, ...(family !== undefined && isKnownFamily(family) && { system: family }) };
}

function packageOf(fields: Fields, names: typeof PACKAGE): TrivyPackage {
  const identifier = fieldsOf(fields[names.identifier]);
  return {
    reference: textOf(identifier.BOMRef) ?? textOf(fields[names.reference]),
    url: textOf(identifier.PURL),
    name: textOf(fields[names.name]) ?? '',
    version: textOf(fields[names.version]) ?? '',
  };
}

function findingOf(fields: Fields): Finding {
  const id = textOf(fields.VulnerabilityID);
  if (id === undefined) throw failed('expected the id of a vulnerability');
  const severity = textOf(fields.Severity)?.toLowerCase() ?? '';
  const source = fieldsOf(fields.DataSource);
  const publishedAt = Date.parse(textOf(fields.PublishedDate) ?? '');
  return {
    id,
    aliases: textsOf(fields.VendorIDs).filter((name) => name !== id),
    severity: SEVERITIES.includes(severity) ? (severity as Severity) : 'unknown',
    cvss: scoreOf(fields),
    malicious: textsOf(fields.CweIDs).includes(MALICIOUS) || id.startsWith('MAL-'),
    fixedIn: (textOf(fields.FixedVersion) ?? '').split(/,\s*/).filter((version) => version !== ''),
    publishedAt: Number.isNaN(publishedAt) ? undefined : publishedAt,
    title: textOf(fields.Title),
    url: textOf(fields.PrimaryURL),
    source: textOf(source.Name) ?? textOf(source.ID) ?? 'trivy',
  };
}

/** The score of the source that the severity comes from, else the NVD's, else any. */
function scoreOf({ CVSS: scores, SeveritySource: source }: Fields): number | undefined {
  const bySource = fieldsOf(scores);
  const order = [textOf(source) ?? 'nvd', 'nvd', ...Object.keys(bySource)];
  for (const name of order) {
    const { V3Score: third, V40Score: fourth, V2Score: second } = fieldsOf(bySource[name]);
    const score = [third, fourth, second].find((value) => typeof value === 'number' && value >= 0 && value <= 10);
    if (score !== undefined) return score as number;
  }
  return undefined;
}

function listOf(value: unknown, name: string): readonly Fields[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw failed(`${name}: expected a list`);
  return value.map(fieldsOf);
}
