import type { ChangelogEntry, PackageFacts, PackageFile } from './facts.js';
import type { ListName, Nevra } from './keys.js';
import { isPrimary, type Relation, type Relations } from './relations.js';
import { RELATION_TAGS, type RelationKind } from './tags.js';

/** The element of a package in each list of packages: XML, with one line feed behind it. */
export type Elements = Readonly<Record<ListName, string>>;

/** End of each element: no text has it, since `<` is written as a reference. */
export const END = '</package>\n';

/** Writes the elements of a package, as createrepo_c does. */
export function printElements(
  facts: PackageFacts,
  relations: Relations,
  files: Iterable<PackageFile>,
  changelog: readonly ChangelogEntry[],
): Elements {
  const { nevra, epoch, sha256 } = facts;
  const version = `  <version epoch="${epoch}" ver="${nevra.version}" rel="${nevra.release}"/>\n`;
  const start = `<package pkgid="${sha256}" name="${nevra.name}" arch="${nevra.architecture}">\n${version}`;
  const parts: string[] = [];
  const primary: string[] = [];
  for (const file of files) {
    const type = file.type === undefined ? '' : ` type="${file.type}"`;
    const element = `<file${type}>${text(file.path)}</file>\n`;
    parts.push('  ', element);
    if (isPrimary(file.path)) primary.push('    ', element);
  }
  const changes = changelog.map(
    (one) => `  <changelog author="${attribute(one.author)}" date="${one.time}">${text(one.text)}</changelog>\n`,
  );
  return {
    primary: primaryElement(facts, version, relations, primary.join('')),
    filelists: `${start}${parts.join('')}${END}`,
    other: `${start}${changes.join('')}${END}`,
  };
}

function primaryElement(facts: PackageFacts, version: string, relations: Relations, files: string): string {
  const { nevra, sha256, location, texts, time, buildTime, size, installedSize, archiveSize, range } = facts;
  const kinds = (Object.keys(RELATION_TAGS) as RelationKind[]).map((kind) => relationElements(kind, relations[kind]));
  return `<package type="rpm">
  <name>${nevra.name}</name>
  <arch>${nevra.architecture}</arch>
${version}  <checksum type="sha256" pkgid="YES">${sha256}</checksum>
  <summary>${text(texts.summary)}</summary>
  <description>${text(texts.description)}</description>
  <packager>${text(texts.packager)}</packager>
  <url>${text(texts.url)}</url>
  <time file="${time}" build="${buildTime}"/>
  <size package="${size}" installed="${installedSize}" archive="${archiveSize}"/>
  <location href="${attribute(location)}"/>
  <format>
    <rpm:license>${text(texts.license)}</rpm:license>
    <rpm:vendor>${text(texts.vendor)}</rpm:vendor>
    <rpm:group>${text(texts.group)}</rpm:group>
    <rpm:buildhost>${text(texts.buildHost)}</rpm:buildhost>
    <rpm:sourcerpm>${text(texts.sourceRpm)}</rpm:sourcerpm>
    <rpm:header-range start="${range.start}" end="${range.end}"/>
${kinds.join('')}${files}  </format>
${END}`;
}

function relationElements(kind: string, relations: readonly Relation[]): string {
  if (relations.length === 0) return '';
  const entries = relations.map(({ name, flags, epoch, version, release, isPre = false }) => {
    const attributes = { name, flags, epoch, ver: version, rel: release, pre: isPre ? '1' : undefined };
    const written = Object.entries(attributes).map(([key, value = '']) =>
      value === '' ? '' : ` ${key}="${attribute(value)}"`,
    );
    return `      <rpm:entry${written.join('')}/>\n`;
  });
  return `    <rpm:${kind}>\n${entries.join('')}    </rpm:${kind}>\n`;
}

const REFERENCES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\t': '&#9;',
  '\n': '&#10;',
  '\r': '&#13;',
};

/** Writes a text. Characters that XML cannot have in any way are left out. */
function text(value: string): string {
  return printable(value).replaceAll(/[&<>\r]/g, (found) => REFERENCES[found] as string);
}

/** Writes the value of an attribute. */
function attribute(value: string): string {
  return printable(value).replaceAll(/[&<>"\t\n\r]/g, (found) => REFERENCES[found] as string);
}

function printable(value: string): string {
  // oxlint-disable-next-line no-control-regex -- these are the ones
  return value.replaceAll(/[\0-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]/gu, '');
}

const BY_PRIMARY = /^<package type="rpm">\n {2}<name>([^<]*)<\/name>\n {2}<arch>([^<]*)</;
const BY_OTHERS = /^<package pkgid="[^"]*" name="([^"]*)" arch="([^"]*)"/;
const VERSION = /<version epoch="[^"]*" ver="([^"]*)" rel="([^"]*)"/;

/** Reads what names the file of a package, from the beginning of one of its elements. */
export function nevraOf(beginning: string): Nevra {
  const [, name = '', architecture = ''] = BY_PRIMARY.exec(beginning) ?? BY_OTHERS.exec(beginning) ?? [];
  const [, version = '', release = ''] = VERSION.exec(beginning) ?? [];
  return { name, version, release, architecture };
}
