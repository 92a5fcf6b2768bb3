import { EntrepotError, type Finding, type Severity } from '@entrepot/core';
import { fieldsOf, textOf, textsOf, type Fields } from '@entrepot/core/formats';
import { isKnownFamily } from './systems.js';

const SEVERITIES: readonly string[] = ['critical', 'high', 'medium', 'low'] satisfies Severity[];
/** "Embedded malicious code". */
const MALICIOUS = 'CWE-506';

/** A package, or the package of a vulnerability, as far as the report identifies it. */
export interface ReportedPackage {
  /** `bom-ref` of its component. */
  readonly reference?: string | undefined;
  /** Its package URL. */
  readonly url?: string | undefined;
  readonly name: string;
  readonly version: string;
}

/** A report of Trivy. */
export interface TrivyReport {
  readonly packages: readonly ReportedPackage[];
  readonly found: readonly { readonly in: ReportedPackage; readonly finding: Finding }[];
  /** The distribution of an image; absent for none or an unknown one. */
  readonly system?: string | undefined;
}

/**
 * Reads a report of schema 2, as old builds (`Ref`, `PkgRef`) and new ones (`Identifier`, `PkgIdentifier`) write it.
 * @throws EntrepotError `scan-unavailable`: what cannot be read might be a finding
 */
export function readReport(report: object): TrivyReport {
  const { SchemaVersion: schema, Results: results, Metadata: metadata } = report as Fields;
  if (schema !== 2) throw unreadable(`expected a report of schema 2, found ${String(schema)}`);
  const packages: ReportedPackage[] = [];
  const found: { in: ReportedPackage; finding: Finding }[] = [];
  for (const result of listOf(results, 'Results')) {
    for (const each of listOf(result.Packages, 'Packages')) {
      packages.push(packageOf(each, { identifier: 'Identifier', reference: 'Ref', name: 'Name', version: 'Version' }));
    }
    for (const each of listOf(result.Vulnerabilities, 'Vulnerabilities')) {
      const names = { identifier: 'PkgIdentifier', reference: 'PkgRef', name: 'PkgName', version: 'InstalledVersion' };
      found.push({ in: packageOf(each, names), finding: findingOf(each) });
    }
  }
  const family = textOf(fieldsOf(fieldsOf(metadata).OS).Family);
  return { packages, found, ...(family !== undefined && isKnownFamily(family) && { system: family }) };
}

interface PackageNames {
  readonly identifier: string;
  readonly reference: string;
  readonly name: string;
  readonly version: string;
}

function packageOf(fields: Fields, names: PackageNames): ReportedPackage {
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
  if (id === undefined) throw unreadable('expected the id of a vulnerability');
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
  if (!Array.isArray(value)) throw unreadable(`${name}: expected a list`);
  return value.map(fieldsOf);
}

function unreadable(message: string): EntrepotError {
  return new EntrepotError('scan-unavailable', `trivy: ${message}`, { code: 'SCAN_FAILED' });
}
