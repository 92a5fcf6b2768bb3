import { readFileSync, writeFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseOptions, type Scanner, type ScanSubject } from '@entrepot/core';
import { ManualClock } from '@entrepot/core/testing';
import plugin from '../src/index.js';

/** The behaviour of the fake program. */
export type Behaviour =
  | 'good'
  | 'old'
  | 'empty'
  | 'no-results'
  | 'exit'
  | 'garbage'
  | 'flood'
  | 'hang'
  | 'fork'
  | 'strange-finding'
  | 'stumble';

export interface Call {
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly beside: readonly string[];
  readonly pid: number;
}

export const NOW = Date.parse('2026-11-21T00:00:00Z');
export const DAY = 86_400_000;

/**
 * Plays `trivy`: reads what it does from a file beside it, since it gets no environment, and writes down how it was called.
 * Flags that the builds do not share are those of `behaviour.flags`.
 */
const PROGRAM = `#!${process.execPath}
const fs = require('node:fs');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { behaviour, advisories, flags, downloadAt } = JSON.parse(fs.readFileSync(path.join(__dirname, 'behaviour.json'), 'utf8'));
const args = process.argv.slice(2);
const say = (value) => fs.writeSync(1, value);
if (args.includes('--help')) {
  say(flags.join(' '));
  process.exit(0);
}
fs.appendFileSync(path.join(__dirname, 'calls'), JSON.stringify({ args, environment: process.env, beside: fs.readdirSync('.'), pid: process.pid }) + '\\n');
const value = (flag) => args[args.indexOf(flag) + 1];
const cache = value('--cache-dir');
if (args.includes('--download-db-only')) {
  fs.mkdirSync(path.join(cache, 'db'));
  fs.writeFileSync(path.join(cache, 'db', 'trivy.db'), 'new');
  fs.writeFileSync(path.join(cache, 'db', 'metadata.json'), JSON.stringify({ Version: 2, UpdatedAt: downloadAt, NextUpdate: downloadAt }));
  process.exit(0);
}
const known = new Set([...flags, '--cache-dir', '--format', '--offline-scan', '--quiet', '--input', '--server']);
const strange = args.find((arg) => arg.startsWith('--') && !known.has(arg));
if (strange !== undefined) { fs.writeSync(2, 'unknown flag: ' + strange); process.exit(1); }
if (!args.includes('--server') && !fs.existsSync(path.join(cache, 'db', 'trivy.db'))) { fs.writeSync(2, 'no database'); process.exit(1); }
if (behaviour === 'exit') { fs.writeSync(2, 'FATAL something is wrong'); process.exit(1); }
if (behaviour === 'garbage') { say('all is well'); process.exit(0); }
if (behaviour === 'hang' || behaviour === 'fork') {
  if (behaviour === 'fork') {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
    fs.appendFileSync(path.join(__dirname, 'children'), child.pid + '\\n');
  }
  fs.writeFileSync(path.join(__dirname, 'started'), String(process.pid));
  setInterval(() => {}, 1000);
} else if (behaviour === 'flood') {
  const piece = Buffer.alloc(1024 * 1024, 32);
  const more = () => { while (process.stdout.write(piece)); process.stdout.once('drain', more); };
  more();
} else {
  const isOld = behaviour === 'old';
  const finding = (id, of) => ({ VulnerabilityID: id, PkgName: of.name, InstalledVersion: of.version, FixedVersion: '2.0.0, 3.0.0', Severity: 'HIGH',
    SeveritySource: 'ghsa', CVSS: { nvd: { V3Score: 9.1 }, ghsa: { V3Score: 7.5 } }, VendorIDs: ['GHSA-' + id.slice(4)], Title: 'A fault', PrimaryURL: 'https://advisories.example.com/' + id,
    PublishedDate: '2026-01-02T03:04:05Z', DataSource: { ID: 'ghsa', Name: 'Advisories' },
    ...(isOld ? { PkgRef: of['bom-ref'] } : { PkgIdentifier: { PURL: of.purl, BOMRef: of['bom-ref'] } }) });
  const result = (components) => ({ Target: '', Class: 'lang-pkgs', Type: 'node-pkg',
    Packages: components.map((each) => ({ Name: each.name, Version: each.version, ...(isOld ? { Ref: each['bom-ref'] } : { Identifier: { PURL: each.purl, BOMRef: each['bom-ref'] } }) })),
    Vulnerabilities: components.flatMap((each) => (advisories[each.purl] ?? []).map((id) => finding(id, each))) });
  let components;
  if (args.includes('image')) {
    const layout = value('--input');
    const index = JSON.parse(fs.readFileSync(path.join(layout, 'index.json')));
    const blob = (digest) => fs.readFileSync(path.join(layout, 'blobs', 'sha256', digest.slice(7)));
    const manifest = JSON.parse(blob(index.manifests[0].digest));
    blob(manifest.config.digest);
    components = manifest.layers.flatMap(({ digest }) => JSON.parse(blob(digest)));
  } else {
    components = JSON.parse(fs.readFileSync(args.at(-1))).components.filter(({ type }) => type === 'library');
  }
  if (behaviour === 'stumble' && components.some(({ name }) => name === 'stumbling-block')) process.exit(1);
  const report = { SchemaVersion: 2, ArtifactType: 'cyclonedx', Metadata: { OS: { Family: 'debian', Name: '12' } } };
  if (behaviour === 'empty') report.Results = [{ Class: 'lang-pkgs', Type: 'node-pkg' }];
  else if (behaviour !== 'no-results') report.Results = [result(components)];
  if (behaviour === 'strange-finding') report.Results[0].Vulnerabilities = [{ ...finding('CVE-2026-9', { name: 'other', version: '1', purl: 'pkg:npm/other@1', 'bom-ref': 'other' }) }];
  say(JSON.stringify(report));
}
`;

export const OLD_FLAGS = ['--config', '--ignorefile', '--list-all-pkgs', '--skip-db-update'];
export const NEW_FLAGS = [
  ...OLD_FLAGS,
  '--scanners',
  '--skip-java-db-update',
  '--disable-telemetry',
  '--skip-version-check',
];

/** A scanner over a fake program in a folder of its own. */
export class FakeTrivy {
  readonly folder: string;
  readonly clock = new ManualClock(NOW);
  readonly #advisories: Record<string, readonly string[]> = {};

  constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<FakeTrivy> {
    const fake = new FakeTrivy(await mkdtemp(join(tmpdir(), 'fake-trivy-')));
    await writeFile(fake.command, PROGRAM);
    await chmod(fake.command, 0o755);
    fake.behave('good');
    await fake.writeDatabase(NOW - DAY);
    return fake;
  }

  get command(): string {
    return join(this.folder, 'trivy');
  }

  get database(): string {
    return join(this.folder, 'database');
  }

  behave(
    behaviour: Behaviour,
    { flags = NEW_FLAGS, downloadAt = NOW }: { flags?: readonly string[]; downloadAt?: number } = {},
  ): void {
    const settings = { behaviour, advisories: this.#advisories, flags, downloadAt: new Date(downloadAt).toISOString() };
    writeFileSync(join(this.folder, 'behaviour.json'), JSON.stringify(settings));
  }

  advise(url: string, ...ids: readonly string[]): void {
    this.#advisories[url] = ids;
    this.behave('good');
  }

  async writeDatabase(builtAt: number, nextUpdate = NOW - DAY): Promise<void> {
    const folder = join(this.database, 'db');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'trivy.db'), 'a database');
    const metadata = {
      Version: 2,
      UpdatedAt: new Date(builtAt).toISOString(),
      NextUpdate: new Date(nextUpdate).toISOString(),
    };
    await writeFile(join(folder, 'metadata.json'), JSON.stringify(metadata));
  }

  async scanner(options: Record<string, unknown> = {}): Promise<Scanner> {
    const parsed = await parseOptions(plugin.options, { command: this.command, directory: this.database, ...options });
    if (parsed.options === undefined) throw new Error(JSON.stringify(parsed.problems));
    return plugin.create({ services: { clock: this.clock }, options: parsed.options });
  }

  calls(): Call[] {
    return this.#lines('calls').map((line) => JSON.parse(line) as Call);
  }

  children(): number[] {
    return this.#lines('children').map(Number);
  }

  /** Once the program does what it never ends. */
  async started(): Promise<number> {
    for (;;) {
      const [pid] = this.#lines('started');
      if (pid !== undefined) return Number(pid);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  #lines(name: string): string[] {
    try {
      return readFileSync(join(this.folder, name), 'utf8').split('\n').filter(Boolean);
    } catch {
      return [];
    }
  }
}

export function npm(name: string, version = '1.0.0'): ScanSubject {
  return { coordinates: { ecosystem: 'npm', name, version } };
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Once none of `pids` runs any more. */
export async function ended(pids: readonly number[]): Promise<void> {
  while (pids.some(isAlive)) await new Promise((resolve) => setImmediate(resolve));
}
