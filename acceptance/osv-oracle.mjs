#!/usr/bin/env node
/**
 * Compares the OSV scanner with `osv-scanner`, another implementation, on generated advisories and versions. Offline.
 *
 *   OSV_SCANNER=/path/to/osv-scanner node acceptance/osv-oracle.mjs [cases per ecosystem] [seed]
 *
 * The tool: go install github.com/google/osv-scanner/v2/cmd/osv-scanner@v2.5.0
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseOptions, silentLogger, systemClock } from '@entrepot/core';
import { NodeTransport } from '@entrepot/core/testing';
import { withScratch } from '@entrepot/fixtures/scratch';
import { zip } from '@entrepot/fixtures/zip';
import plugin from '@entrepot/plugin-scanner-osv';

/**
 * @typedef {object} Ecosystem
 * @property {string} name as OSV has it
 * @property {string} type of its package URLs
 * @property {string} prefix of the names that are made up
 * @property {string} versions that ranges and questions are made of
 * @property {string} [spellings] that are asked for only: each is the same version as another one, and what several events at
 *   one version mean, the schema leaves open
 */

/**
 * Linux distributions are not here: the tool takes a list of their packages for git repositories.
 * @type {readonly Ecosystem[]}
 */
const ECOSYSTEMS = [
  {
    name: 'npm',
    type: 'npm',
    prefix: 'n',
    versions:
      '0.0.1 0.9.0 1.0.0-alpha 1.0.0-alpha.1 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 1.2.0 1.10.0 2.0.0-0 2.0.0 10.0.0',
    spellings: '2.0.0+build.5',
  },
  {
    name: 'Go',
    type: 'golang',
    prefix: 'example.com/acme/g',
    versions:
      '0.0.0-20230101000000-abcdefabcdef 0.0.0-20240101000000-abcdefabcdef 0.1.0 1.0.0 1.0.1-0.20240101000000-abcdefabcdef 1.0.1 1.9.0 1.10.0 2.0.0+incompatible 2.1.0+incompatible',
  },
  {
    name: 'PyPI',
    type: 'pypi',
    prefix: 'p',
    versions: '0.1 1.0.dev1 1.0a1 1.0a1.dev2 1.0b2 1.0rc1 1.0 1.0+local.1 1.0.post1 1.0.1 1.1 1.10 2.0.0 2024.1 1!0.5',
    spellings: '1.0.0',
  },
  {
    name: 'Maven',
    type: 'maven',
    prefix: 'org.acme:m',
    versions: '0.9 1.0-alpha-1 1.0-beta 1.0-M2 1.0-RC1 1.0-SNAPSHOT 1.0 1.0-sp1 1.0.1 1.2 1.10 2.0.0.RELEASE 2.0-jre8',
    spellings: '1.0.0 1.0.Final',
  },
  {
    name: 'RubyGems',
    type: 'gem',
    prefix: 'r',
    versions: '0.9 1.0.0.pre 1.0.0.rc1 1.0.0.rc2 1.0 1.0.0.1 1.0.1 1.2 1.10 2.0.0.beta.1 2.0',
    spellings: '1.0.0',
  },
  {
    name: 'NuGet',
    type: 'nuget',
    prefix: 'u',
    versions: '0.9.0 1.0.0-alpha 1.0.0-Beta.2 1.0.0-beta.11 1.0.0 1.0.0.1 1.0.1 1.2.0 1.10.0 2.0.0-rc1 2.0.0',
  },
  {
    name: 'Packagist',
    type: 'composer',
    prefix: 'acme/c',
    versions: '0.9.0 1.0.0-alpha1 1.0.0-beta1 1.0.0-beta2 1.0.0-RC1 1.0.0 1.0.1 1.2.0 1.10.0 v2.0.0 2.1.0',
  },
];

/** @typedef {{ ecosystem: Ecosystem, name: string, version: string, record: { id: string } }} Question */

const tool = process.env['OSV_SCANNER'];
if (tool === undefined) {
  console.error('expected the path of osv-scanner in OSV_SCANNER, found none');
  process.exit(2);
}
const [cases = '100', seed = '1'] = process.argv.slice(2);
const random = generator(Number(seed));

await withScratch('osv-oracle', async (folder) => {
  const questions = ECOSYSTEMS.flatMap((ecosystem) => questionsOf(ecosystem, Number(cases)));
  // The tool wants a dump of everything that it looks into, also where nothing is asked.
  for (const name of ['GIT', ...ECOSYSTEMS.map((ecosystem) => ecosystem.name)]) {
    const records = questions.filter(({ ecosystem }) => ecosystem.name === name).map(({ record }) => record);
    mkdirSync(join(folder, 'osv-scalibr', name), { recursive: true });
    const files = records.map((record) => ({ name: `${record.id}.json`, content: JSON.stringify(record) }));
    writeFileSync(join(folder, 'osv-scalibr', name, 'all.zip'), zip(files));
  }
  const theirs = askTool(folder, questions);
  const ours = await askScanner(folder, questions);
  let affected = 0;
  let different = 0;
  for (const [index, { ecosystem, name, version, record }] of questions.entries()) {
    const their = theirs.get(keyOf(ecosystem.name, name, version)) ?? '';
    if (their !== '') affected += 1;
    if (their === ours[index]) continue;
    different += 1;
    console.log(`${ecosystem.name} ${name} ${version}: osv-scanner "${their}", ours "${ours[index]}"`);
    console.log(`  ${JSON.stringify(record)}`);
  }
  console.log(`${questions.length} cases, ${affected} of them affected, ${different} differ`);
  process.exitCode = different === 0 ? 0 : 1;
});

/**
 * Packages with one advisory each, and a version to ask for.
 * @param {Ecosystem} ecosystem
 * @param {number} count
 * @returns {Question[]}
 */
function questionsOf(ecosystem, count) {
  const versions = ecosystem.versions.split(' ');
  const asked = [...versions, ...(ecosystem.spellings?.split(' ') ?? [])];
  return Array.from({ length: count }, (_, index) => {
    const name = `${ecosystem.prefix}-${index}`;
    const record = {
      schema_version: '1.7.0',
      id: `TEST-${ecosystem.name}-${index}`,
      modified: '2026-01-01T00:00:00Z',
      affected: [
        {
          package: { ecosystem: ecosystem.name, name },
          ranges: [
            { type: ['npm', 'Go'].includes(ecosystem.name) ? 'SEMVER' : 'ECOSYSTEM', events: eventsOf(versions) },
          ],
          ...(random() < 0.2 ? { versions: [pick(versions)] } : {}),
        },
      ],
      ...(random() < 0.05 ? { withdrawn: '2026-01-02T00:00:00Z' } : {}),
    };
    return { ecosystem, name, version: pick(asked), record };
  });
}

/**
 * Events, one a version.
 * @param {readonly string[]} versions
 */
function eventsOf(versions) {
  /** @type {Map<string, string>} */
  const events = new Map();
  events.set(random() < 0.5 ? '0' : pick(versions), 'introduced');
  for (let more = Math.floor(random() * 3); more >= 0; more -= 1) {
    for (const kind of [random() < 0.75 ? 'fixed' : 'last_affected', 'introduced']) {
      const version = pick(versions);
      if (random() < 0.7 && !events.has(version)) events.set(version, kind);
    }
  }
  return [...events].map(([version, kind]) => ({ [kind]: version }));
}

/**
 * The ids that the tool finds, by what was asked. One run an ecosystem, as its users have it.
 * @param {string} folder
 * @param {readonly Question[]} questions
 * @returns {Map<string, string>}
 */
function askTool(folder, questions) {
  const found = new Map();
  for (const ecosystem of ECOSYSTEMS) {
    const packages = questions
      .filter((question) => question.ecosystem === ecosystem)
      .map(({ name, version }) => ({ package: { name, version, ecosystem: ecosystem.name } }));
    writeFileSync(join(folder, 'packages.json'), JSON.stringify({ results: [{ packages }] }));
    writeFileSync(join(folder, 'config.toml'), '');
    for (const { packages: named } of JSON.parse(runTool(folder)).results ?? []) {
      for (const { package: subject, vulnerabilities = [] } of named) {
        const ids = vulnerabilities.map((/** @type {{ id: string }} */ { id }) => id);
        found.set(keyOf(subject.ecosystem, subject.name, subject.version), ids.sort().join(' '));
      }
    }
  }
  return found;
}

/** @param {string} folder @returns {string} */
function runTool(folder) {
  const options = ['--offline', '--all-vulns', '--config', join(folder, 'config.toml'), '--format', 'json'];
  try {
    return execFileSync(
      tool ?? '',
      ['scan', 'source', ...options, '-L', `osv-scanner:${join(folder, 'packages.json')}`],
      {
        cwd: folder,
        env: { PATH: '', HOME: folder, OSV_SCALIBR_LOCAL_DB_CACHE_DIRECTORY: folder },
        encoding: 'utf8',
        maxBuffer: 2 ** 30,
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
  } catch (error) {
    const { status, stdout, stderr } = /** @type {{ status: number, stdout: string, stderr: string }} */ (error);
    // 1: there are findings.
    if (status === 1 && !stderr.includes('Error')) return stdout;
    throw new Error(`osv-scanner: exit ${status}: ${stderr}`, { cause: error });
  }
}

/**
 * The ids that our scanner finds, in order; `undecided` where it cannot say.
 * @param {string} folder
 * @param {readonly Question[]} questions
 * @returns {Promise<string[]>}
 */
async function askScanner(folder, questions) {
  const from = join(folder, 'osv-scalibr');
  const parsed = await parseOptions(plugin.options, { from, directory: join(folder, 'database') });
  if (parsed.problems !== undefined) throw new Error(JSON.stringify(parsed.problems));
  const transport = new NodeTransport();
  const services = { logger: silentLogger, clock: systemClock, transport };
  const scanner = await plugin.create({ services, options: parsed.options });
  try {
    await scanner.update?.(new AbortController().signal);
    return questions.map(({ ecosystem, name, version }) => {
      const found = scanner.lookup?.({
        ecosystem: ecosystem.type,
        name: name.replace(':', '/'),
        version: ecosystem.name === 'Go' ? `v${version}` : version,
      });
      return found === undefined
        ? 'undecided'
        : found
            .map(({ id }) => id)
            .sort()
            .join(' ');
    });
  } finally {
    await scanner.dispose?.();
    await transport.dispose();
  }
}

/** @param {...string} parts */
function keyOf(...parts) {
  return parts.join(' ');
}

/** @param {readonly string[]} list */
function pick(list) {
  return /** @type {string} */ (list[Math.floor(random() * list.length)]);
}

/**
 * The same numbers for the same seed (mulberry32).
 * @param {number} start
 */
function generator(start) {
  let state = start;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
