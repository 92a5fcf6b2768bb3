import { compareParts } from '@entrepot/core/formats';
import { broken, type Header } from './header.js';
import { RELATION_TAGS, type RelationKind } from './tags.js';

/** A relation to another package, or to something that one has. */
export interface Relation {
  readonly name: string;
  /** `EQ`, `LE`. Absent: any version. */
  readonly flags?: string | undefined;
  readonly epoch?: string | undefined;
  readonly version?: string | undefined;
  readonly release?: string | undefined;
  /** Whether it is needed before the package is there, or when it goes. */
  readonly isPre?: boolean | undefined;
}

export type Relations = Readonly<Record<RelationKind, readonly Relation[]>>;

const FLAGS: Readonly<Record<number, string>> = { 2: 'LT', 4: 'GT', 8: 'EQ', 10: 'LE', 12: 'GE' };
const COMPARISON = 0xf;
/** Needed by scriptlets: RPMSENSE_PREREQ, PRETRANS, SCRIPT_PRE, SCRIPT_POST, POSTTRANS. */
const PRE = (1 << 6) | (1 << 7) | (1 << 9) | (1 << 10) | (1 << 5);
/** A requirement that may be absent. */
const MISSING_OK = 1 << 19;

interface Read extends Relation {
  readonly number: number;
  /** Name, comparison and version in one. */
  readonly whole: string;
}

/**
 * Reads the relations of a package, as lists of packages have them: requirements that it fulfils itself are left out, as createrepo_c does.
 * @param ownFiles finds those of some paths that the package has
 */
export function readRelations(
  header: Header,
  ownFiles: (paths: ReadonlySet<string>) => ReadonlySet<string>,
): Relations {
  const all = (kind: RelationKind) => [...relationsOf(header, kind)];
  const provides = all('provides');
  const required = all('requires').filter(({ name }) => !name.startsWith('rpmlib('));
  const own = ownFiles(new Set(required.flatMap(({ name }) => (isPrimary(name) ? [name] : []))));
  const provided = new Set(provides.map(({ whole }) => whole));
  const requires: Relation[] = [];
  const recommends: Relation[] = all('recommends');
  const last = new Map<string, string>();
  let libc: Relation | undefined;
  for (const relation of required) {
    const { name, whole, number } = relation;
    const isPre = (number & PRE) !== 0;
    if (own.has(name) || provided.has(whole)) continue;
    const form = `${whole}\n${isPre}`;
    if (last.get(name) === form) continue;
    if ((number & MISSING_OK) !== 0) {
      recommends.push(relation);
    } else if (name.startsWith('libc.so.6')) {
      libc = libc === undefined || compareLibc(libc.name, name) < 0 ? { ...relation, isPre } : libc;
    } else {
      requires.push({ ...relation, isPre });
      last.set(name, form);
    }
  }
  if (libc !== undefined) requires.push(libc);
  const [conflicts, obsoletes, suggests, enhances, supplements] = (
    ['conflicts', 'obsoletes', 'suggests', 'enhances', 'supplements'] as const
  ).map(all) as [Read[], Read[], Read[], Read[], Read[]];
  return { provides, requires, conflicts, obsoletes, suggests, enhances, recommends, supplements };
}

/** Whether a file stands in the list of packages itself: clients look for programs and settings there. */
export function isPrimary(path: string): boolean {
  return path.startsWith('/etc/') || path === '/usr/lib/sendmail' || path.includes('bin/');
}

function* relationsOf(header: Header, kind: RelationKind): Generator<Read> {
  const [nameTag, flagsTag, versionTag] = RELATION_TAGS[kind];
  const count = header.count(nameTag);
  if (count !== header.count(flagsTag) || count !== header.count(versionTag))
    throw broken(`its header has ${count} names of ${kind}, and not as many flags and versions`);
  const flags = header.numbers(flagsTag);
  const versions = header.texts(versionTag);
  let index = 0;
  for (const name of header.texts(nameTag)) {
    const number = flags(index);
    index += 1;
    const text = versions.next().value ?? '';
    const comparison = FLAGS[number & COMPARISON];
    const version = parseVersion(text);
    // Nothing compares with an epoch that is no number.
    if (name === '' || version === undefined) continue;
    yield {
      name,
      number,
      whole: `${name}${comparison ?? ''}${text}`,
      ...(comparison !== undefined && { flags: comparison, ...version }),
    };
  }
}

/** Reads `1:2.0-3`. `undefined`: its epoch is no number. */
function parseVersion(text: string): Pick<Relation, 'epoch' | 'version' | 'release'> | undefined {
  if (text === '') return {};
  const colon = text.indexOf(':');
  const epoch = colon < 0 ? '0' : text.slice(0, colon) || '0';
  if (!/^\d+$/.test(epoch)) return undefined;
  const dash = text.indexOf('-', colon + 1);
  if (dash < 0) return { epoch, version: text.slice(colon + 1) };
  return { epoch, version: text.slice(colon + 1, dash), release: text.slice(dash + 1) };
}

/** Compares `libc.so.6(GLIBC_2.34)(64bit)`: the newest of them is enough, since each libc has those before. */
function compareLibc(one: string, other: string): number {
  const [first, second] = [libcVersion(one), libcVersion(other)];
  for (let index = 0; ; index += 1) {
    const [left, right] = [first[index], second[index]];
    if (left === undefined || right === undefined) return Number(left !== undefined) - Number(right !== undefined);
    const order = compareParts(left, right);
    if (order !== 0) return order;
  }
}

/** The parts of `2.34`; none of `libc.so.6()(64bit)`. */
function libcVersion(name: string): readonly string[] {
  const start = name.indexOf('(') + 1;
  const text = name.slice(start, name.indexOf(')', start));
  const digit = text.search(/\d/);
  return start === 0 || digit < 0 ? [] : text.slice(digit).split('.');
}
