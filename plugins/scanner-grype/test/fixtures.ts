import { readFileSync, writeFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseOptions, type Scanner, type ScanSubject } from '@entrepot/core';
import { ManualClock } from '@entrepot/core/testing';
import plugin from '../src/index.js';

/** The behaviour of the fake program. */
export type Behaviour =
  'good' | 'unlisted' | 'exit' | 'garbage' | 'flood' | 'hang' | 'fork' | 'stale' | 'cpe' | 'invalid';

export interface Call {
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly beside: readonly string[];
}

export const NOW = Date.parse('2026-11-21T00:00:00Z');
export const DAY = 86_400_000;

/** Plays `grype`: reads what it does from a file beside it, since it gets no environment, and writes down how it was called. */
const PROGRAM = `#!${process.execPath}
const fs = require('node:fs');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { behaviour, advisories, newest } = JSON.parse(fs.readFileSync(path.join(__dirname, 'behaviour.json'), 'utf8'));
const args = process.argv.slice(2);
const say = (value) => fs.writeSync(1, value);
const complain = (value) => fs.writeSync(2, value);
fs.appendFileSync(path.join(__dirname, 'calls'), JSON.stringify({ args, environment: process.env, beside: fs.readdirSync('.') }) + '\\n');
const folder = path.join(process.env.GRYPE_DB_CACHE_DIR, '6');
const database = path.join(folder, 'vulnerability.db');
const built = fs.existsSync(database) ? fs.readFileSync(database, 'utf8') : undefined;
if (args[0] === 'db') {
  if (args[1] === 'status') {
    say(JSON.stringify({ schemaVersion: 'v6.1.0', built, path: folder, valid: behaviour !== 'invalid' }));
    process.exit(behaviour === 'invalid' ? 1 : 0);
  }
  if (behaviour === 'exit') { complain('no network'); process.exit(1); }
  if (args[1] === 'check') process.exit(newest === built ? 0 : 100);
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(database, newest);
  process.exit(0);
}
if (built === undefined) { complain('no database'); process.exit(1); }
if (behaviour === 'exit') { complain('ERROR something is wrong'); process.exit(1); }
if (behaviour === 'stale') { complain('the vulnerability database was built 9 days ago (max allowed age is 5 days)'); process.exit(1); }
if (behaviour === 'garbage') { say('No vulnerabilities found'); process.exit(0); }
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
  let components;
  let distro = { name: '', version: '' };
  if (args[0].startsWith('oci-dir:')) {
    const layout = args[0].slice('oci-dir:'.length);
    const blob = (digest) => JSON.parse(fs.readFileSync(path.join(layout, 'blobs', 'sha256', digest.slice(7))));
    const manifest = blob(JSON.parse(fs.readFileSync(path.join(layout, 'index.json'))).manifests[0].digest);
    components = manifest.layers.flatMap(({ digest }) => blob(digest));
    distro = { name: 'debian', version: '12' };
  } else {
    components = JSON.parse(fs.readFileSync(args[0].slice('sbom:'.length))).components;
  }
  const matches = components.flatMap((each) => (advisories[each.purl] ?? []).map((id) => ({
    vulnerability: { id: 'GHSA-' + id.slice(4), dataSource: 'https://advisories.example.com/' + id, namespace: 'github:language:javascript', severity: 'High',
      cvss: [{ version: '3.1', metrics: { baseScore: 7.5 } }, { version: '4.0', metrics: { baseScore: 8.7 } }], fix: { versions: ['2.0.0'], state: 'fixed' },
      advisories: [], risk: 4, epss: [{ cve: id, epss: 0.42, percentile: 0.97, date: '2026-11-20' }],
      knownExploited: [{ cve: id, dateAdded: '2026-11-01', knownRansomwareCampaignUse: 'Unknown' }], cwes: [{ cve: id, cwe: 'CWE-79' }], description: 'A fault\\nin detail' },
    relatedVulnerabilities: [{ id, dataSource: '', namespace: 'nvd:cpe', severity: 'Critical', cvss: [], urls: [] }],
    matchDetails: [{ type: behaviour === 'cpe' ? 'cpe-match' : 'exact-direct-match', matcher: 'javascript-matcher' }],
    artifact: { name: each.name, version: each.version, type: 'npm', purl: each.purl } })));
  const [, list] = args.find((arg) => arg.startsWith('cyclonedx-json=')).split('=');
  fs.writeFileSync(list, JSON.stringify({ bomFormat: 'CycloneDX', components: behaviour === 'unlisted' ? [] : components, vulnerabilities: [] }));
  say(JSON.stringify({ matches, distro, descriptor: { name: 'grype', version: '0.116.0' } }));
}
`;

/** A scanner over a fake program in a folder of its own. */
export class FakeGrype {
  readonly folder: string;
  readonly clock = new ManualClock(NOW);
  #advisories: Record<string, readonly string[]> = {};

  constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<FakeGrype> {
    const fake = new FakeGrype(await mkdtemp(join(tmpdir(), 'fake-grype-')));
    await writeFile(fake.command, PROGRAM);
    await chmod(fake.command, 0o755);
    fake.behave('good');
    await fake.writeDatabase(NOW - DAY);
    return fake;
  }

  get command(): string {
    return join(this.folder, 'grype');
  }

  get database(): string {
    return join(this.folder, 'database');
  }

  behave(behaviour: Behaviour, { newest = NOW - DAY }: { newest?: number } = {}): void {
    const settings = { behaviour, advisories: this.#advisories, newest: new Date(newest).toISOString() };
    writeFileSync(join(this.folder, 'behaviour.json'), JSON.stringify(settings));
  }

  advise(url: string, ...ids: readonly string[]): void {
    this.#advisories = { ...this.#advisories, [url]: ids };
    this.behave('good');
  }

  async writeDatabase(builtAt: number): Promise<void> {
    await mkdir(join(this.database, '6'), { recursive: true });
    await writeFile(join(this.database, '6', 'vulnerability.db'), new Date(builtAt).toISOString());
  }

  async scanner(options: Record<string, unknown> = {}): Promise<Scanner> {
    const parsed = await parseOptions(plugin.options, { command: this.command, directory: this.database, ...options });
    if (parsed.options === undefined) throw new Error(JSON.stringify(parsed.problems));
    return plugin.create({ services: { clock: this.clock }, options: parsed.options });
  }

  /** Without those that ask of the database. */
  scans(): Call[] {
    return this.calls().filter(({ args }) => args[0] !== 'db');
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

function isAlive(pid: number): boolean {
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
