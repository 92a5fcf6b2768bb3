import { z } from 'zod';
import { cursorText } from '../http/operations/cursor.js';
import { operation } from '../http/operations/operation.js';
import {
  amount,
  bytes,
  instant,
  limitOf,
  named,
  plainText,
  purlText,
  repositoryName,
} from '../http/operations/schemas.js';
import { decision } from './policy-schemas.js';

const ROOT = '/-/api/v1';
const MOST = 1_000;
const next = z.string().optional().describe('The cursor of the next page. Absent: this is the last one.');
const ofRepository = repositoryName.optional().describe('Left out: all.');

const repository = named(
  'Repository',
  'A repository that is served, and what is kept of it.',
  z.object({
    name: z.string(),
    type: z.string(),
    kind: z.enum(['proxy', 'hosted']),
    mount: z.string(),
    url: z.string().describe('Where clients reach it.'),
    ecosystem: z.string().describe('The type of the package URLs of what it serves.'),
    isOpen: z.boolean().describe('Whether everybody may read it.'),
    upstreams: z.array(z.object({ url: z.string(), scope: z.string().optional(), source: z.string() })),
    entries: amount,
    bytes,
    quota: bytes.optional(),
    isFull: z.boolean(),
  }),
);

const entry = named(
  'Entry',
  'An entry that is kept.',
  z.object({
    digest: z.string(),
    size: bytes,
    mediaType: z.string(),
    fetchedAt: instant,
    servedAt: instant.optional().describe('When it was last served. Absent: not since it was stored.'),
    storedBy: z.string().optional().describe('The name of the uploader.'),
    purl: z.string().optional(),
  }),
);

const foundPackage = named(
  'FoundPackage',
  'A package that something is kept of.',
  z.object({
    purl: z.string().describe('Without a version.'),
    type: z.string(),
    name: z.string(),
    repositories: z.array(z.object({ name: z.string(), versions: amount.describe('Those that are kept.') })),
  }),
);

const version = named(
  'PackageVersion',
  'A version that is kept, or that a kept document lists.',
  z.object({
    version: z.string(),
    purl: z.string(),
    repository: z.string(),
    isKept: z.boolean(),
    files: amount,
    bytes,
    publishedAt: instant.optional(),
    fetchedAt: instant.optional(),
    deprecated: z.boolean().optional(),
    yanked: z.boolean().optional(),
    decision,
  }),
);

const repositories = { tag: 'repositories', access: 'administrator' } as const;
const packages = { tag: 'packages', access: 'administrator' } as const;
const byName = z.strictObject({ name: repositoryName });
const byPurl = z.strictObject({ purl: purlText });

/** The operations for looking at what is kept. */
export const BROWSE = {
  repositories: operation({
    ...repositories,
    id: 'listRepositories',
    summary: 'Lists the repositories that are served.',
    method: 'get',
    path: `${ROOT}/repositories`,
    replies: { 200: { description: 'By name.', json: z.object({ repositories: z.array(repository) }) } },
  }),
  repository: operation({
    ...repositories,
    id: 'getRepository',
    summary: 'Reads one repository.',
    method: 'get',
    path: `${ROOT}/repositories/{name}`,
    parameters: byName,
    replies: { 200: { description: 'The repository.', json: repository } },
    errors: ['not-found'],
  }),
  entries: operation({
    ...repositories,
    id: 'listEntries',
    summary: 'Lists what is kept of a repository, like the files of a folder.',
    method: 'get',
    path: `${ROOT}/repositories/{name}/entries`,
    parameters: byName,
    query: z.strictObject({
      prefix: plainText(8_000, 0).default('').describe('The beginning of the keys. A folder ends with a slash.'),
      view: z
        .enum(['folders', 'keys'])
        .default('folders')
        .describe('`folders`: one level; `keys`: all entries, whatever folder they lie in.'),
      limit: limitOf(200, MOST),
      cursor: cursorText.optional(),
    }),
    replies: {
      200: {
        description: 'By path.',
        json: z.object({
          prefix: z.string(),
          children: z.array(
            z.object({
              path: z.string().describe('The key of an entry; the prefix of a folder, with the slash at its end.'),
              name: z.string().describe('The path without the prefix.'),
              kind: z.enum(['folder', 'entry']),
              entry: entry.optional(),
            }),
          ),
          next,
        }),
      },
    },
    errors: ['not-found'],
  }),
  versions: operation({
    ...packages,
    id: 'listVersions',
    summary: 'Lists versions of a package that are kept, or that kept documents list, the newest first.',
    description: 'No upstream is asked. The package URL may stand as it is, or escaped as a whole.',
    method: 'get',
    path: `${ROOT}/packages/{purl}/versions`,
    slashes: ['purl'],
    parameters: byPurl,
    query: z.strictObject({
      repository: ofRepository,
      kept: z.boolean().optional().describe('Only those that are kept, or only the others.'),
      limit: limitOf(200, MOST),
      cursor: cursorText.optional(),
    }),
    replies: {
      200: {
        description: 'The versions.',
        json: z.object({ versions: z.array(version), total: amount.describe('On all pages.'), next }),
      },
    },
    errors: ['not-found'],
  }),
  package: operation({
    ...packages,
    id: 'getPackage',
    summary: 'Reads what is kept of a package.',
    description: 'The package URL may stand as it is, or escaped as a whole.',
    method: 'get',
    path: `${ROOT}/packages/{purl}`,
    slashes: ['purl'],
    parameters: byPurl,
    replies: { 200: { description: 'The package.', json: foundPackage } },
    errors: ['not-found'],
  }),
  search: operation({
    ...packages,
    id: 'searchPackages',
    summary: 'Finds packages that something is kept of, over all formats.',
    description:
      'Names that begin with the text come first, in the order of the alphabet; then those that have it elsewhere, the shortest first. A text of one or two letters is looked for at the beginning alone. No upstream is asked.',
    method: 'get',
    path: `${ROOT}/packages`,
    query: z.strictObject({
      q: plainText(500, 0).default('').describe('A part of a name, or a package URL. Left out: all.'),
      type: plainText(100).optional().describe('The type of their package URLs. Left out: all.'),
      repository: ofRepository,
      limit: limitOf(50, MOST),
      cursor: cursorText.optional(),
    }),
    replies: {
      200: {
        description: 'The packages.',
        json: z.object({
          takenFor: z.enum(['name', 'purl']).describe('What the text was taken for.'),
          packages: z.array(foundPackage),
          next,
        }),
      },
    },
  }),
};
