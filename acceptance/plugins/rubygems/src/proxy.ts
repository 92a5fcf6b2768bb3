import { artifactClass, documentClass, EntrepotError, parseHex } from '@entrepot/core';
import type { ArtifactDescription, Content, RenderRequest, Resource, VerifyContext } from '@entrepot/core';
import { malformed, WorkTurns } from '@entrepot/core/formats';
import { z } from 'zod';
import { HEAD_END, indexText, TEXT } from './compact-index.ts';
import { gemOf, infoOf, keysOf, numberOf } from './names.ts';

/** The largest document, in bytes. */
const MOST = 128 * 1024 * 1024;
/** Stands where the sum of a list is not known: no list has it, so that clients ask for the list again. */
const NO_SUM = '0'.repeat(32);

/** The description of versions in the list of all gems. It has an old date, since rules on age do not apply there. */
const ANY_AGE: ArtifactDescription = { integrity: [], publishedAt: 0 };

type Index = Awaited<ReturnType<typeof parseIndex>>;
type Info = Awaited<ReturnType<typeof parseInfo>>;

const fresh = { cache: { freshFor: 60_000 }, upstream: { expects: ['text/plain'] } } as const;
const file = {
  reply: { cacheControl: 'public, max-age=31536000, immutable', mediaType: 'application/octet-stream' },
  trust: { describedBy: ({ coordinates }: Resource) => coordinates && infoOf(coordinates.name) },
};

export const classes = {
  versions: documentClass<unknown, Index>({
    ...fresh,
    about: 'The list of all versions of all gems.',
    reply: { ...TEXT, render: renderVersions },
    parse: parseIndex,
  }),
  names: documentClass<unknown, Index>({
    ...fresh,
    about: 'The list of all names.',
    reply: { ...TEXT, render: (names) => indexText(names.head, names.rows) },
    parse: parseIndex,
  }),
  info: documentClass<unknown, Info>({
    ...fresh,
    about: 'The versions of a gem, with their dependencies and sums.',
    reply: { ...TEXT, render: renderInfo },
    parse: parseInfo,
  }),
  dates: documentClass({
    ...fresh,
    about: 'The dates of the versions of a gem, for lists without.',
    upstream: { expects: ['application/json'] },
  }),
  specs: documentClass({ about: 'The indexes of older clients, as they are upstream.' }),
  gem: artifactClass({ ...file, about: 'Files of gems, by the sums in the lists of versions.' }),
  spec: artifactClass({
    ...file,
    about: 'Specifications of gems. No list has their sums.',
    policy: { sidecar: true, sidecarOf: ({ attributes }) => attributes?.['gem'] as string },
  }),
};

async function textOf(content: Content): Promise<string> {
  return Buffer.from(await content.bytes(MOST)).toString('utf8');
}

async function parseIndex(content: Content, { key }: Resource) {
  const text = await textOf(content);
  const end = `\n${text}`.indexOf(`\n${HEAD_END}`);
  if (end === -1) throw malformed(key, 'expected a line ---');
  const start = end + HEAD_END.length;
  return { head: text.slice(0, start), rows: text.slice(start).match(/.+/g) ?? [], weight: 4 * text.length };
}

async function parseInfo(content: Content, resource: Resource, context: VerifyContext) {
  const { head, rows, weight } = await parseIndex(content, resource);
  const name = resource.coordinates?.name ?? '';
  const isDated = rows.every((row) => row.includes('created_at:'));
  const dates = context.needs.has('publishedAt') && !isDated ? await datesOf(name, context) : undefined;
  const found = new Map<string, ArtifactDescription>();
  const versions = rows.map((row) => {
    const number = row.slice(0, row.indexOf(' '));
    const promise = parseHex('sha256', /[|,]checksum:(\w+)/.exec(row)?.[1] ?? '');
    if (promise === undefined) throw malformed(resource.key, `expected the SHA-256 of ${number}`);
    const date = /[|,]created_at:([^,]+)/.exec(row)?.[1] ?? dates?.get(number);
    const publishedAt = date === undefined ? undefined : Date.parse(date) || undefined;
    const description = { integrity: [promise], coordinates: gemOf(name, number), publishedAt };
    const { gem, spec } = keysOf(`${name}-${number}`);
    found.set(gem, description).set(spec, { ...description, integrity: [] });
    return [row, description] as const;
  });
  return { head, weight, versions, describe: (key: string) => found.get(key), descriptions: () => found };
}

const datedVersions = z.array(z.object({ number: z.string(), platform: z.string(), created_at: z.string() }));

/** Reads the dates of a gem, by number. Servers without that API have none. */
async function datesOf(name: string, { read }: VerifyContext): Promise<ReadonlyMap<string, string> | undefined> {
  const path = `api/v1/versions/${name}.json`;
  try {
    const versions = datedVersions.parse(JSON.parse(await textOf(await read({ class: 'dates', key: path, path }))));
    return new Map(versions.map((one) => [numberOf(one.number, one.platform), one.created_at]));
  } catch (error) {
    if (error instanceof EntrepotError && error.kind === 'not-found') return undefined;
    throw error instanceof EntrepotError ? error : malformed(path, 'expected a list of versions', error);
  }
}

function renderInfo(info: Info | undefined, { admits }: RenderRequest) {
  const admitted = info?.versions.filter(([, one]) => one.coordinates && admits(one.coordinates, one));
  const rows = admitted?.map(([row]) => row);
  return indexText(info?.head, rows);
}

/** Leaves out what is refused. Rules on age take their effect in the lists of the gems. */
async function renderVersions(index: Index | undefined, { admits }: RenderRequest) {
  const turns = new WorkTurns();
  const refused = new Set<string>();
  const shown: string[] = [];
  for (const row of index?.rows ?? []) {
    const [name = '', numbers = '', sum = ''] = row.split(' ');
    const listed = numbers.split(',');
    const admitted = listed.filter((one) => admits(gemOf(name, one.replace(/^-/, '')), ANY_AGE));
    if (admitted.length < listed.length) refused.add(name);
    if (admitted.length > 0) shown.push(`${name} ${admitted.join(',')} ${refused.has(name) ? NO_SUM : sum}`);
    await turns.pause();
  }
  return indexText(index?.head, shown);
}
