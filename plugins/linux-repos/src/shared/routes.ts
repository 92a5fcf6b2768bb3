import { EntrepotError, requireMethod, type Integrity, type RequestHead, type Resource } from '@entrepot/core';
import { parseTime } from './times.js';

/** The longest path that is routed, in characters. */
const LONGEST_PATH = 1024;

/** A file that is asked for. */
export interface AskedFile {
  /** The path below the repository, and below the snapshot. */
  readonly path: string;
  readonly segments: readonly [string, ...string[]];
  /** The folder, without a slash at its end. Empty: the repository itself. */
  readonly folder: string;
  readonly name: string;
  /** Differs for each file and time. */
  readonly key: string;
  /** `asOf` for a state of the past: milliseconds since the epoch. */
  readonly more: { readonly asOf?: number };
}

/** Names what a request is for, by the file that it asks for. @throws EntrepotError `bad-request` for a path that is none */
export function routeFile(head: RequestHead, named: (file: AskedFile) => Resource): Resource | undefined {
  requireMethod(head, ['GET']);
  const asked = head.segments.flatMap((segment) => segment.split('/'));
  const whole = asked.join('/');
  if (whole === '' || head.trailingSlash) return undefined;
  if (whole.length > LONGEST_PATH || asked.some((segment) => segment === '' || segment === '.' || segment === '..'))
    throw new EntrepotError('bad-request', `expected the path of a file of ${LONGEST_PATH} characters at most`);
  const asOf = asked[0] === 'snapshots' ? parseTime(asked[1] ?? '') : undefined;
  const segments = asOf === undefined ? asked : asked.slice(2);
  const name = segments.at(-1);
  if (name === undefined) return undefined;
  const path = segments.join('/');
  return named({
    path,
    segments: segments as [string, ...string[]],
    folder: segments.slice(0, -1).join('/'),
    name,
    key: asOf === undefined ? path : `${path} ${asOf}`,
    more: asOf === undefined ? {} : { asOf },
  });
}

/** A pointer document of a root. */
export function suite(root: string, name: string, { key, more }: AskedFile): Resource {
  return { class: 'suite', key, attributes: { root, name, ...more } };
}

/** An index file by its name. @param sum by which it is named */
export function named({ path, key, more }: AskedFile, sum?: Integrity): Resource {
  return { class: 'named', key, attributes: { path, ...(sum && { sum }), ...more } };
}

/** A file that may be a package. */
export function file({ path, key, more }: AskedFile): Resource {
  return { class: 'file', key, attributes: { path, ...more } };
}

/** A list of mirrors of the root that is its folder. */
export function mirrors({ folder, name, key, more }: AskedFile): Resource {
  return { class: 'mirrors', key, attributes: { root: folder, name, ...more } };
}
