import assert from 'node:assert/strict';
import { packageUrl, type PackageCoordinates } from '../api/coordinates.js';
import type { Entry } from '../api/entry-index.js';
import type { PolicyInput } from '../api/policy.js';
import { linksOf } from './document-links.js';
import { denying, FixedPolicy } from './fixed-policy.js';
import type { Fixtures, ProtocolSubject, Served } from './protocol-subject.js';
import type { Checks } from './suite.js';
import type { TestRepository } from './test-repository.js';

/** A version of which the table asks for an artifact, or for a document of its own. */
interface Version {
  readonly coordinates: PackageCoordinates & { readonly version: string };
  /** The keys of what the table asks for. */
  readonly keys: Set<string>;
  readonly publishedAt: number | undefined;
}

/** Defines the checks that denied versions are not listed, and all others are. */
export function defineListing(
  { checkIf }: Checks<Fixtures>,
  subject: ProtocolSubject,
  { rewriting, policy, dates }: { readonly rewriting: boolean; readonly policy: boolean; readonly dates: boolean },
): void {
  const isReadable = subject.links !== 'none' || subject.mentions !== undefined;
  const isOn = rewriting && policy && isReadable;
  const reason = rewriting && policy ? 'links are none, and the subject has no mentions' : 'rewriting or policy is off';

  checkIf(isOn, reason, 'leaves denied versions out of documents', async (fixtures) => {
    const versions = await versionsOf(fixtures);
    for (const document of await listsOf(fixtures)) {
      const shown = await shownWhenDenied(fixtures, document, versions, () => true);
      assert.deepEqual([...shown], [], `${document.label} lists versions although all are denied`);
    }
  });

  checkIf(isOn, reason, 'leaves one denied version out of documents, and no other', async (fixtures) => {
    await assertLeftOut(fixtures, await versionsOf(fixtures), () => true);
  });

  checkIf(
    isOn && dates,
    isOn ? 'dates is off' : reason,
    'leaves a version that is too young out of documents',
    async (fixtures) => {
      const dated = (await versionsOf(fixtures)).filter(({ publishedAt }) => publishedAt !== undefined);
      assert.ok(dated.length > 0, 'expected an artifact with publishedAt in its description, found none');
      await assertLeftOut(fixtures, dated, ({ facts }, { publishedAt }) => facts.publishedAt === publishedAt);
    },
  );
}

/** Denies each version by itself. Every document that lists it must list all that it listed before, but that one. */
async function assertLeftOut(
  fixtures: Fixtures,
  versions: readonly Version[],
  matches: (input: PolicyInput, version: Version) => boolean,
): Promise<void> {
  let compared = 0;
  for (const document of await listsOf(fixtures)) {
    const before = await shownIn(fixtures, await fixtures.open(), document, versions);
    for (const version of versions) {
      const url = packageUrl(version.coordinates);
      if (!before.has(url)) continue;
      const denied = (input: PolicyInput): boolean => packageUrl(input.coordinates) === url && matches(input, version);
      const after = await shownWhenDenied(fixtures, document, versions, denied);
      const label = `${document.label}, when policy denies ${url}`;
      assert.ok(!after.has(url), `${label}: the version is still listed, or something still points to it`);
      const lost = [...before].filter((other) => other !== url && !after.has(other));
      assert.deepEqual(lost, [], `${label}: other versions are missing`);
      if (before.size > 1) compared += 1;
    }
  }
  assert.ok(compared > 0, 'expected a document that lists two versions that the table asks for, found none');
}

async function shownWhenDenied(
  fixtures: Fixtures,
  document: Served,
  versions: readonly Version[],
  matches: (input: PolicyInput) => boolean,
): Promise<ReadonlySet<string>> {
  const rule = denying((input) => input.coordinates.version !== undefined && matches(input));
  const repository = await fixtures.open({ policy: new FixedPolicy([rule]) });
  const shown = await shownIn(fixtures, repository, document, versions);
  await repository.close();
  return shown;
}

/** Finds the versions that a document lists, by their package URLs. */
async function shownIn(
  { subject }: Fixtures,
  repository: TestRepository,
  { request, resource }: Served,
  versions: readonly Version[],
): Promise<ReadonlySet<string>> {
  const reply = await repository.ask(request);
  if (reply.status !== 200) return new Set();
  const text = reply.body.toString();
  const mentioned = subject.mentions?.(text, reply.headers['content-type'] ?? '');
  const links = mentioned === undefined ? linksOf(repository, subject, request, reply) : [];
  const isShown = ({ coordinates, keys }: Version): boolean => {
    const isOfName = resource.coordinates?.name === coordinates.name;
    if (mentioned !== undefined)
      return (isOfName || resource.coordinates === undefined) && mentioned.includes(coordinates.version);
    return links.some(({ resource: to }) => isArtifact(to, keys)) || (isOfName && hasWord(text, coordinates.version));
  };
  return new Set(versions.filter(isShown).map(({ coordinates }) => packageUrl(coordinates)));
}

function isArtifact(linked: unknown, keys: ReadonlySet<string>): boolean {
  return typeof linked === 'object' && linked !== null && 'key' in linked && keys.has(linked.key as string);
}

/** Whether `word` stands in `text`, and not as a part of a longer version or name. */
function hasWord(text: string, word: string): boolean {
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    const around = [text[at - 1], text[at + word.length]];
    if (around.every((sign) => sign === undefined || !/[\w.+-]/.test(sign))) return true;
  }
  return false;
}

async function listsOf({ served }: Fixtures): Promise<readonly Served[]> {
  return (await served('document')).filter(({ resource }) => resource.isRendered);
}

/** Finds the versions of what the table asks for, as their documents name them. A tag is a document that is a version. */
async function versionsOf({ open, served }: Fixtures): Promise<readonly Version[]> {
  const found = new Map<string, Version>();
  const repository = await open();
  const isWhole = ({ resource }: Served): boolean => resource.kind === 'artifact' || !resource.isRendered;
  for (const one of (await served()).filter(isWhole)) {
    const { resource } = one;
    const { coordinates, facts } = await storedFacts(repository, one);
    if (coordinates?.version === undefined) continue;
    const url = packageUrl(coordinates);
    const known = found.get(url);
    const keys = (known?.keys ?? new Set()).add(resource.key);
    const publishedAt = known?.publishedAt ?? facts?.publishedAt;
    found.set(url, { coordinates: { ...coordinates, version: coordinates.version }, keys, publishedAt });
  }
  return [...found.values()];
}

/** Fetches something, and gives what is kept of it: its coordinates may stand in its document alone. */
export async function storedFacts(
  { ask, entries }: TestRepository,
  { request, resource }: Served,
): Promise<Pick<Entry, 'coordinates' | 'facts'>> {
  await ask(request);
  const { coordinates = resource.coordinates, facts } = (await entries.find('test', resource.key)) ?? {};
  return { coordinates, facts };
}
