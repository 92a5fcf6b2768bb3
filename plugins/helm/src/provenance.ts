import { chartFileName } from './chart-url.js';
import { isRecord, printed } from '@entrepot/core/formats';
import { ChartError } from './chart-error.js';
import { checkName } from './chart-metadata.js';
import { parseChartVersion } from './version-order.js';
import { decodeYaml, parseYaml, scalarText } from './yaml-text.js';

/** The contents of a provenance file. Clients have the keys, and check the signature. */
export interface Provenance {
  readonly name: string;
  readonly version: string;
  /** `<name>-<version>.tgz`. */
  readonly fileName: string;
  /** SHA-256 of the archive in lower-case hex. */
  readonly digest: string;
}

/** The largest provenance file, in bytes: it repeats the chart's metadata. */
export const LARGEST_PROVENANCE = 256 * 1024;

/** The start of a provenance file. */
export const SIGNED_MESSAGE = '-----BEGIN PGP SIGNED MESSAGE-----';
const SIGNATURE = '-----BEGIN PGP SIGNATURE-----';
const END = '-----END PGP SIGNATURE-----';
/** Parts the metadata from the sums: `---` would be read as armor. */
const SEPARATOR = '\n...\n';
const DIGEST = /^sha256:([0-9a-f]{64})$/;

/**
 * Reads a provenance file: a clear-signed message (RFC 9580 §7) of the chart's metadata and the sum of its archive. Lines may
 * end in CR LF, as RFC 9580 has them; the bytes that were signed are the same.
 * @throws ChartError for a malformed one, and for one that has not the sum of the chart that it names
 */
export function readProvenance(bytes: Uint8Array): Provenance {
  if (bytes.length > LARGEST_PROVENANCE)
    throw new ChartError(`expected a provenance file of ${LARGEST_PROVENANCE} bytes at most`);
  const text = signedText(decodeYaml(bytes).replaceAll('\r\n', '\n'));
  const at = text.indexOf(SEPARATOR);
  const [metadata, sums] =
    at === -1 ? [] : [text.slice(0, at), text.slice(at + SEPARATOR.length)].map((part) => parseYaml(part, 'refuse'));
  if (!isRecord(metadata) || !isRecord(sums) || !isRecord(sums['files']))
    throw new ChartError("expected a chart's metadata and the sum of its archive in the provenance file");
  const name = checkName(metadata['name']);
  const version = scalarText(metadata['version']) ?? '';
  if (parseChartVersion(version) === undefined)
    throw new ChartError(`expected a version of semver.org in the provenance file, found ${printed(version)}`);
  const fileName = chartFileName(name, version);
  const files = Object.entries(sums['files']);
  const other = files.find(([file]) => file !== fileName)?.[0];
  if (other !== undefined || files.length === 0) {
    const found = other === undefined ? 'nothing' : printed(other);
    throw new ChartError(`expected the sum of ${fileName} in its provenance file, found that of ${found}`);
  }
  const digest = DIGEST.exec(String(files[0]?.[1]))?.[1];
  if (digest === undefined) throw new ChartError(`expected sha256:<64 hex digits> for ${fileName}`);
  return { name, version, fileName, digest };
}

/**
 * Checks that a provenance is that of an archive.
 * @param digest SHA-256 of the archive in lower-case hex
 * @throws ChartError
 */
export function checkProvenance(
  provenance: Provenance,
  chart: { name: string; version: string },
  digest: string,
): void {
  if (provenance.name !== chart.name || provenance.version !== chart.version) {
    const wanted = chartFileName(chart.name, chart.version);
    throw new ChartError(`expected the provenance of ${wanted}, found that of ${provenance.fileName}`);
  }
  if (provenance.digest !== digest) {
    throw new ChartError(
      `${provenance.fileName}: its provenance file speaks of sha256:${provenance.digest}, not of sha256:${digest}`,
    );
  }
}

/** Gives the text that was signed, without its dash-escapes. */
function signedText(file: string): string {
  const lines = file.trimEnd().split('\n');
  const blank = lines.indexOf('');
  const start = lines.indexOf(SIGNATURE);
  const headers = lines.slice(1, Math.max(blank, 1));
  const good =
    lines[0] === SIGNED_MESSAGE &&
    blank > 0 &&
    headers.every((line) => /^Hash: [A-Za-z0-9-]+(?:, ?[A-Za-z0-9-]+)*$/.test(line)) &&
    start > blank &&
    lines.indexOf(END) === lines.length - 1 &&
    lines.slice(start + 1, -1).some((line) => /^[A-Za-z0-9+/=]+$/.test(line)) &&
    !file.includes('\r');
  if (!good) throw new ChartError('expected a clear-signed PGP message');
  const text = lines.slice(blank + 1, start);
  if (text.some((line) => line.startsWith('-') && !line.startsWith('- ')))
    throw new ChartError('expected a clear-signed PGP message, found a line with a dash that is not escaped');
  return text.map((line) => (line.startsWith('- ') ? line.slice(2) : line)).join('\n');
}
