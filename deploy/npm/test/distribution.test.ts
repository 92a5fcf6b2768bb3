import { readFileSync } from 'node:fs';
import path from 'node:path';
import { DISTRIBUTION } from 'entrepot';
import { expect, it } from 'vitest';
import { KNOWN_SCANNERS } from '../../../host/src/config/known-packages.js';

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

const ROOT = path.resolve(import.meta.dirname, '../../..');
const { dependencies } = manifestOf('deploy/npm');

it('depends on the plugins of every format and scanner of ours', () => {
  const plugins = Object.keys(dependencies).filter((name) => name.startsWith('@entrepot/plugin-'));
  // A package may hold several formats.
  const wanted = new Set([...Object.values(DISTRIBUTION.formats), ...Object.values(KNOWN_SCANNERS)]);
  expect(plugins.sort()).toEqual([...wanted].sort());
});

it('has the drivers that the host leaves to whoever uses them, in a version that the host takes', () => {
  const wanted = Object.entries(manifestOf('host').peerDependencies);
  expect(wanted.length).toBeGreaterThan(0);
  expect(wanted).toEqual(wanted.map(([name]) => [name, `^${dependencies[name]}`]));
});

it('leaves the host without plugins', () => {
  const names = Object.keys(manifestOf('host').dependencies).filter((name) => name.startsWith('@entrepot/'));
  expect(names).toEqual(['@entrepot/core']);
});

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(path.join(ROOT, folder, 'package.json'), 'utf8')) as Manifest;
}
