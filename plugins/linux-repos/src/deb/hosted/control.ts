import { debOrder, printed } from '@entrepot/core/formats';
import { broken } from './ar-reader.js';

/** The control file of a package (Debian Policy §5.3). */
export interface Control {
  readonly name: string;
  readonly version: string;
  /** `amd64`, `all`. */
  readonly architecture: string;
  /** Of the source package: advisories are by that. */
  readonly source: string;
  readonly sourceVersion: string;
  /** The stanza as it was written, with one line feed behind it. */
  readonly text: string;
}

/** Fields that an index says of a package: one that says them of itself would be read in different ways. */
const OF_INDEXES: ReadonlySet<string> = new Set(['filename', 'size', 'md5sum', 'sha1', 'sha256', 'sha512']);

/** Debian Policy §5.6.1, with the bound that file names set. */
const NAME = /^[a-z0-9][a-z0-9+.-]{1,127}$/;
const VERSION = /^(?:\d{1,9}:)?\d[A-Za-z0-9.+~-]{0,127}$/;
const ARCHITECTURE = /^[a-z0-9][a-z0-9-]{0,63}$/;
/** Architectures that no built package has. */
const NO_ARCHITECTURE = /^(?:any|source)$|^any-|-any$/;

/** The name of a package. */
export function isPackageName(text: string): boolean {
  return NAME.test(text);
}

/** The architecture of a built package. */
export function isArchitecture(text: string): boolean {
  return ARCHITECTURE.test(text) && !NO_ARCHITECTURE.test(text);
}

/** A version (Debian Policy §5.6.12). */
export function isVersion(text: string): boolean {
  return VERSION.test(text) && debOrder.parse(text) !== undefined;
}

/**
 * Reads a control file.
 * @throws EntrepotError `bad-request` for one that two readers could read differently, or whose name, version or architecture is none
 */
export function readControl(bytes: Uint8Array): Control {
  const fields = readFields(textOf(bytes));
  const field = (name: string, is: (text: string) => boolean): string => {
    const value = fields.values.get(name.toLowerCase());
    if (value === undefined) throw broken(`its control file has no field ${name}`);
    if (!is(value))
      throw broken(`its control file has ${name}: ${printed(value)}, expected it as Debian Policy §5.6 says`);
    return value;
  };
  const name = field('Package', isPackageName);
  const version = field('Version', isVersion);
  const architecture = field('Architecture', isArchitecture);
  return { name, version, architecture, ...sourceOf(fields.values.get('source'), name, version), text: fields.text };
}

/** Reads `Source: hello (1.0-1)`. Absent: the package is its own source. */
function sourceOf(
  written: string | undefined,
  name: string,
  version: string,
): Pick<Control, 'source' | 'sourceVersion'> {
  if (written === undefined) return { source: name, sourceVersion: version };
  const [, source = '', sourceVersion = version] = /^([^\s()]+)(?:\s+\(([^\s()]+)\))?$/.exec(written) ?? [];
  if (isPackageName(source) && isVersion(sourceVersion)) return { source, sourceVersion };
  throw broken(`its control file has Source: ${printed(written)}, expected a name, or a name (version)`);
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw broken('its control file is not UTF-8', error);
  }
}

function readFields(text: string): { readonly values: ReadonlyMap<string, string>; readonly text: string } {
  const lines = text.split('\n');
  while (lines.at(-1)?.trim() === '') lines.pop();
  const values = new Map<string, string>();
  for (const line of lines) {
    // Tabs are the only controls that stanzas have.
    if (/[^\P{Cc}\t]/u.test(line)) throw broken(`its control file has a control character in ${printed(line)}`);
    if (line.trim() === '') throw broken('its control file has an empty line: expected one stanza');
    if (/^[ \t]/.test(line)) {
      if (values.size === 0) throw broken('its control file begins in the middle of a field');
      continue;
    }
    const [, name = '', value = ''] = /^([!-,.-9;-~][!-9;-~]*):(.*)$/.exec(line) ?? [];
    const key = name.toLowerCase();
    if (key === '' || key.startsWith('#'))
      throw broken(`its control file has the line ${printed(line)}, expected a field`);
    if (values.has(key)) throw broken(`its control file has ${name} twice`);
    if (OF_INDEXES.has(key)) throw broken(`its control file has ${name}, which is for indexes to say`);
    values.set(key, value.trim());
  }
  return { values, text: `${lines.join('\n')}\n` };
}
