import { createHash } from 'node:crypto';
import { allowAll, type AnyDeclaredPlugin, type Finding, type PolicyEngine } from '@entrepot/core';
import { createPolicy, type PolicyDocument, type PresetName } from '@entrepot/core/engine';
import { openTestRepository, type TestReply, type TestRepository } from '@entrepot/core/testing';
import files from '@entrepot/plugin-files';
import npm from '@entrepot/plugin-npm';
import oci from '@entrepot/plugin-oci';
import pypi from '@entrepot/plugin-pypi';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';

const BASE = '/upstream/base';
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** When each attack begins: the clock of every replay. */
const T0 = Date.UTC(2026, 5, 1, 12);
const JSON_TYPE = 'application/json';
const EVIL = 'evil bytes';

const hash = (bytes: string, algorithm = 'sha256', encoding: 'hex' | 'base64' = 'hex'): string =>
  createHash(algorithm).update(bytes).digest(encoding);
const iso = (at: number): string => new Date(at).toISOString();

/** A feed of malware that learns of the attack at `since`, by name or by the hash of the bytes. */
interface Feed {
  readonly since: number;
  readonly name: string;
  readonly byHash?: boolean;
}

/** One attack, as an upstream saw it. */
interface Attack {
  readonly name: string;
  readonly plugin: AnyDeclaredPlugin;
  /** Publishes the packages; called at the beginning. */
  readonly publish: (repository: TestRepository) => void;
  /** Where the bad version is, or its name is asked for. */
  readonly path: string;
  /** When a client asks, after the beginning; milliseconds. */
  readonly after: number;
  /** Requests before the attack, whose bytes are stored. */
  readonly before?: (repository: TestRepository) => Promise<void>;
  /** Path that is asked for after the attack was found out: documents are refreshed. */
  readonly meanwhile?: string;
  readonly feed?: Feed;
  readonly stoppedBy: PolicyDocument;
  /** The rules that name themselves. */
  readonly rules: readonly string[];
  readonly notStoppedBy: PolicyDocument;
}

const preset = (name: PresetName, more: Partial<PolicyDocument> = {}): PolicyDocument => ({
  version: 1,
  preset: name,
  ...more,
});
/** As balanced, but for what waits for time to tell: what the other rules are worth. */
const withoutCooldown = preset('balanced', { rules: [{ id: 'cooldown', mode: 'off' }] });

interface NpmVersion {
  readonly at: number;
  readonly manifest?: object;
}

const TRUSTED = {
  _npmUser: { name: 'GitHub Actions', trustedPublisher: { id: 'github' } },
  dist: { attestations: { url: 'x' } },
};

/** An npm package with a good version of last year and what the attacker put after it. */
function npmAttack(name: string, good: object, ...bad: object[]): Pick<Attack, 'plugin' | 'publish' | 'path'> {
  const versions: Record<string, NpmVersion> = { '1.0.0': { at: T0 - 400 * DAY, manifest: good } };
  bad.forEach((manifest, at) => (versions[`1.0.${at + 1}`] = { at: T0 + at * MINUTE, manifest }));
  return {
    plugin: npm,
    path: `/${name}/-/${name}-1.0.1.tgz`,
    publish({ upstream }) {
      const manifests = Object.entries(versions).map(([version, { manifest = {} }]) => {
        const { dist } = manifest as { dist?: object };
        return [
          version,
          { ...manifest, name, version, dist: { ...dist, integrity: `sha512-${hash(EVIL, 'sha512', 'base64')}` } },
        ] as const;
      });
      const time = Object.fromEntries(Object.entries(versions).map(([version, { at }]) => [version, iso(at)]));
      const latest = Object.keys(versions).at(-1);
      const body = JSON.stringify({ name, 'dist-tags': { latest }, versions: Object.fromEntries(manifests), time });
      upstream.serve(`${BASE}/${name}`, { body, mediaType: JSON_TYPE });
      for (const version of Object.keys(versions))
        upstream.serve(`${BASE}/${name}/-/${name}-${version}.tgz`, { body: EVIL });
    },
  };
}

/** The same of a Python project. */
function pypiAttack(
  name: string,
  bad: { readonly provenance: boolean },
  good: { readonly provenance: boolean },
): Pick<Attack, 'plugin' | 'publish' | 'path'> {
  return {
    plugin: pypi,
    path: `/files/${name}/${hash(EVIL).slice(0, 16)}/${name}-8.3.41.tar.gz`,
    publish({ upstream, upstreamUrl }) {
      const file = (version: string, at: number, provenance: boolean): object => ({
        filename: `${name}-${version}.tar.gz`,
        url: `${upstreamUrl}/f/${name}-${version}.tar.gz`,
        hashes: { sha256: hash(EVIL) },
        'upload-time': iso(at),
        ...(provenance && { provenance: `${upstreamUrl}/integrity/${name}/${version}/x/provenance` }),
      });
      const list = [file('8.3.40', T0 - 100 * DAY, good.provenance), file('8.3.41', T0, bad.provenance)];
      const body = JSON.stringify({
        meta: { 'api-version': '1.1' },
        name,
        versions: ['8.3.40', '8.3.41'],
        files: list,
      });
      upstream.serve(`${BASE}/simple/${name}/`, { body, mediaType: 'application/vnd.pypi.simple.v1+json' });
      for (const version of ['8.3.40', '8.3.41']) upstream.serve(`${BASE}/f/${name}-${version}.tar.gz`, { body: EVIL });
    },
  };
}

/** Takes a package down as the registry does, with a placeholder in its place. */
const takenDownNpm = (name: string): Pick<Attack, 'publish' | 'meanwhile'> => ({
  meanwhile: `/${name}`,
  publish({ upstream }) {
    const version = '0.0.1-security';
    const versions = { [version]: { name, version, dist: { shasum: hash(EVIL, 'sha1') } } };
    const body = JSON.stringify({ name, 'dist-tags': { latest: version }, versions, time: { [version]: iso(T0) } });
    upstream.serve(`${BASE}/${name}`, { body, mediaType: JSON_TYPE });
  },
});

/** Quarantines a project as the index does (PEP 792). */
const quarantinedPypi = (name: string): Pick<Attack, 'publish' | 'meanwhile'> => ({
  meanwhile: `/simple/${name}/`,
  publish({ upstream }) {
    const status = { 'project-status': { status: 'quarantined' } };
    const body = JSON.stringify({ meta: { 'api-version': '1.4' }, ...status, name, versions: [], files: [] });
    upstream.serve(`${BASE}/simple/${name}/`, { body, mediaType: 'application/vnd.pypi.simple.v1+json' });
  },
});

/** The attack with a client that has its bytes from before it was found out. */
function keptAttack(
  attack: Pick<Attack, 'plugin' | 'publish' | 'path'>,
  after: Pick<Attack, 'publish' | 'meanwhile'>,
): Pick<Attack, 'plugin' | 'publish' | 'path' | 'before' | 'meanwhile'> {
  return {
    ...attack,
    ...after,
    async before(repository) {
      attack.publish(repository);
      expect((await repository.ask(attack.path)).status).toBe(200);
    },
  };
}

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const imageOf = (layer: string): string => {
  const digest = `sha256:${hash(layer)}`;
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: { mediaType: 'application/json', digest, size: 1 },
    layers: [],
  });
};
function moveTag({ upstream }: TestRepository, tag: string, body: string): void {
  const fixture = { body, mediaType: MANIFEST, headers: { 'docker-content-digest': `sha256:${hash(body)}` } };
  upstream.serve(`${BASE}/v2/acme/scanner/manifests/${tag}`, fixture);
  upstream.serve(`${BASE}/v2/acme/scanner/manifests/sha256:${hash(body)}`, fixture);
}

const GENERIC = { plugin: files, path: '/xz/xz-5.6.1.tar.gz' };

const ATTACKS: readonly Attack[] = [
  {
    name: 'xz 5.6.1 (2024-03): a kept copy is recalled after disclosure',
    ...GENERIC,
    publish: ({ upstream }) => void upstream.serve(`${BASE}/xz/xz-5.6.1.tar.gz`, { body: EVIL }),
    before: async ({ ask }) => void expect((await ask(GENERIC.path)).status).toBe(200),
    after: 35 * DAY,
    stoppedBy: preset('balanced', {
      rules: [{ id: 'recall', match: { purl: ['pkg:generic/xz/xz-5.6.*'] }, action: 'deny' }],
    }),
    rules: ['recall'],
    notStoppedBy: preset('balanced'),
  },
  {
    name: 'a typosquat on npm that was kept: the registry took it down',
    ...keptAttack(npmAttack('crossenv', {}, {}), takenDownNpm('crossenv')),
    after: HOUR,
    stoppedBy: withoutCooldown,
    rules: ['quarantined-upstream'],
    notStoppedBy: preset('airgap'),
  },
  {
    name: 'malware on PyPI that was kept: the index quarantined it (PEP 792)',
    ...keptAttack(pypiAttack('aiocpa', { provenance: false }, { provenance: false }), quarantinedPypi('aiocpa')),
    after: HOUR,
    stoppedBy: withoutCooldown,
    rules: ['quarantined-upstream'],
    notStoppedBy: preset('airgap'),
  },
  {
    name: 'ultralytics 8.3.41 (2024-12), first wave: valid provenance',
    ...pypiAttack('ultralytics', { provenance: true }, { provenance: true }),
    after: 6 * HOUR,
    stoppedBy: preset('balanced'),
    rules: ['cooldown'],
    notStoppedBy: withoutCooldown,
  },
  {
    name: 'ultralytics 8.3.45 (2024-12), second wave: a stolen token, no provenance',
    ...pypiAttack('ultralytics', { provenance: false }, { provenance: true }),
    after: 6 * HOUR,
    stoppedBy: withoutCooldown,
    rules: ['trust-downgrade'],
    notStoppedBy: preset('airgap'),
  },
  {
    name: 'tj-actions (2025-03): a tag whose digest moves',
    plugin: oci,
    publish: (repository) => moveTag(repository, 'v1', imageOf('evil')),
    path: '/acme/scanner/manifests/v1',
    before: async (repository) => {
      moveTag(repository, 'v1', imageOf('good'));
      expect((await repository.ask('/acme/scanner/manifests/v1')).status).toBe(200);
    },
    after: 5 * HOUR,
    stoppedBy: preset('strict'),
    rules: ['cooldown'],
    notStoppedBy: preset('balanced'),
  },
  {
    name: 'nx s1ngularity (2025-08): a postinstall, no provenance any more',
    ...npmAttack('nx', TRUSTED, { _npmUser: { name: 'nx' }, scripts: { postinstall: 'node telemetry.js' } }),
    after: 3 * HOUR,
    stoppedBy: preset('balanced'),
    rules: ['cooldown', 'new-install-script', 'trust-downgrade'],
    notStoppedBy: preset('airgap'),
  },
  {
    name: 'chalk, debug (2025-09): a payload at run time',
    ...npmAttack('chalk', {}, {}),
    after: 2 * HOUR,
    stoppedBy: preset('balanced'),
    rules: ['cooldown'],
    notStoppedBy: withoutCooldown,
  },
  {
    name: 'chalk, debug (2025-09), once the feeds know it',
    ...npmAttack('chalk', {}, {}),
    after: 12 * HOUR,
    feed: { since: 3 * HOUR, name: 'chalk' },
    stoppedBy: preset('airgap'),
    rules: ['malware'],
    notStoppedBy: preset('observe'),
  },
  {
    name: 'Shai-Hulud 2 (2025-11): a new preinstall',
    ...npmAttack('tinycolor', {}, { scripts: { preinstall: 'node setup_bun.js' } }),
    after: 5 * HOUR,
    stoppedBy: withoutCooldown,
    rules: ['new-install-script'],
    notStoppedBy: preset('airgap'),
  },
  {
    name: 'the same, published twice in a row',
    ...npmAttack('tinycolor', {}, { scripts: { preinstall: 'node a.js' } }, { scripts: { preinstall: 'node a.js' } }),
    path: '/tinycolor/-/tinycolor-1.0.2.tgz',
    after: 5 * HOUR,
    stoppedBy: withoutCooldown,
    rules: ['new-install-script'],
    notStoppedBy: preset('airgap'),
  },
  {
    name: 'a stolen token, published twice in a row: no provenance',
    ...npmAttack('axios', TRUSTED, { _npmUser: { name: 'jason' } }, { _npmUser: { name: 'jason' } }),
    path: '/axios/-/axios-1.0.2.tgz',
    after: 2 * HOUR,
    stoppedBy: withoutCooldown,
    rules: ['trust-downgrade'],
    notStoppedBy: preset('airgap'),
  },
  {
    name: 'LiteLLM (2026-03): a stolen token',
    ...pypiAttack('litellm', { provenance: false }, { provenance: false }),
    after: 2 * HOUR,
    stoppedBy: preset('balanced'),
    rules: ['cooldown'],
    notStoppedBy: withoutCooldown,
  },
  {
    name: 'axios 1.14.1 (2026-03): no provenance, another publisher, a new dependency',
    ...npmAttack('axios', TRUSTED, { _npmUser: { name: 'jason' }, dependencies: { 'plain-crypto-js': '^4.2.1' } }),
    after: 2 * HOUR,
    stoppedBy: withoutCooldown,
    rules: ['trust-downgrade'],
    notStoppedBy: preset('airgap'),
  },
  {
    name: 'TanStack (2026-05): valid provenance, a dependency from git',
    ...npmAttack('router', TRUSTED, { ...TRUSTED, optionalDependencies: { setup: 'github:tanstack/router#79ac49e' } }),
    after: 30 * MINUTE,
    stoppedBy: withoutCooldown,
    rules: ['exotic-dependencies'],
    notStoppedBy: preset('observe'),
  },
  {
    name: 'Miasma (2026-06): valid provenance, nothing odd',
    ...npmAttack('cli', TRUSTED, TRUSTED),
    after: 4 * HOUR,
    stoppedBy: preset('balanced'),
    rules: ['cooldown'],
    notStoppedBy: withoutCooldown,
  },
  {
    name: 'ChainDrop keyv 6.0.0 (2026-08): signed, a new preinstall; found under another name by its hash',
    ...npmAttack('keyv-copy', TRUSTED, { ...TRUSTED, scripts: { preinstall: 'node bundle.js' } }),
    after: 10 * HOUR,
    feed: { since: 7 * HOUR, name: 'keyv', byHash: true },
    stoppedBy: preset('airgap'),
    rules: ['malware'],
    notStoppedBy: preset('observe'),
  },
  {
    name: 'Flooding Dropper (2026-08): our own names, published by somebody else',
    ...npmAttack('acme-internal', {}, {}),
    after: 30 * DAY,
    stoppedBy: preset('balanced', {
      rules: [{ id: 'private-names', match: { kinds: ['proxy'], purl: ['pkg:npm/acme-*'] } }],
    }),
    rules: ['private-names'],
    notStoppedBy: preset('strict'),
  },
];

interface Replayed {
  readonly reply: TestReply;
  readonly repository: TestRepository;
}

/** The attack as a client of a server with this policy meets it. */
async function replay(attack: Attack, document: PolicyDocument): Promise<Replayed> {
  let now = (): number => T0;
  const inForce = createPolicy({
    document,
    scanners: [
      {
        id: 'feed',
        scanner: {
          subjects: { ecosystems: ['npm', 'pypi', 'generic'] },
          revision: () => String(now() >= T0 + (attack.feed?.since ?? Infinity)),
          lookup({ name }, integrity = []) {
            const { feed } = attack;
            if (feed === undefined || now() < T0 + feed.since) return [];
            const isThis =
              feed.byHash === true ? integrity.some(({ hex }) => hex === hash(EVIL, 'sha512')) : feed.name === name;
            return isThis ? [FOUND] : [];
          },
        },
      },
    ],
  });
  // What is kept from before was let in by nobody.
  const current = (): PolicyEngine => (now() < T0 ? allowAll : inForce);
  const policy: PolicyEngine = {
    revision: () => current().revision(),
    evaluate: (input) => current().evaluate(input),
    needs: () => inForce.needs(),
    firstFetch: (name) => inForce.firstFetch(name),
  };
  const options = attack.plugin === (files as unknown) ? { rules: [{ match: '**', policy: 'immutable' }] } : {};
  const repository = await openTestRepository({ plugin: attack.plugin, policy, options });
  onTestFinished(() => repository.close());
  const { clock } = repository;
  now = () => clock.now();
  clock.advance(T0 - 30 * DAY - clock.now());
  if (attack.before !== undefined) {
    attack.publish(repository);
    await attack.before(repository);
  }
  clock.advance(30 * DAY);
  attack.publish(repository);
  clock.advance(attack.after);
  if (attack.meanwhile !== undefined) await repository.ask(attack.meanwhile);
  return { reply: await repository.ask(attack.path), repository };
}

const FOUND: Finding = {
  id: 'MAL-2026-1',
  aliases: [],
  severity: 'critical',
  malicious: true,
  fixedIn: [],
  source: 'feed',
};

const table: string[] = [];
const nameOf = ({ preset: name, rules = [] }: PolicyDocument): string =>
  [name ?? 'no preset', ...rules.map(({ id, mode }) => (mode === 'off' ? `without ${id}` : `with ${id}`))].join(' ');

describe('an attack', () => {
  it.each(ATTACKS)('$name: is stopped', async (attack) => {
    const { reply, repository } = await replay(attack, attack.stoppedBy);
    expect([reply.status, reply.outcome], reply.body.toString()).toEqual([403, 'denied']);
    for (const rule of attack.rules) expect(reply.body.toString()).toContain(`(rule ${rule}`);
    // Documents lead to what is good.
    const [, area, name = ''] = attack.path.split('/');
    if (area === 'files' && attack.before === undefined) {
      const page = await repository.ask({
        path: `/simple/${name}/`,
        headers: { accept: 'application/vnd.pypi.simple.v1+json' },
      });
      expect(JSON.parse(page.body.toString())).toMatchObject({
        versions: ['8.3.40'],
        files: [{ filename: `${name}-8.3.40.tar.gz` }],
      });
    }
    table.push(`stopped   | ${attack.name.padEnd(96)} | ${nameOf(attack.stoppedBy)}: ${attack.rules.join(', ')}`);
  });

  it.each(ATTACKS)('$name: gets by', async (attack) => {
    const { reply } = await replay(attack, attack.notStoppedBy);
    expect(reply.status, reply.body.toString()).toBe(200);
    table.push(`gets by   | ${attack.name.padEnd(96)} | ${nameOf(attack.notStoppedBy)}`);
  });

  afterAll(() => void process.stdout.write(`\n${table.join('\n')}\n`));
});
