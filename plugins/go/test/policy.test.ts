import type { PolicyEngine } from '@entrepot/core';
import { describe, expect, it } from 'vitest';
import { goModule, openGo, type GoRepository } from './fixtures.js';

const DAY = 86_400_000;
const PATH = '/example.com/dated';

/** Holds what is younger than three days, or has no date. */
function cooldown(now: () => number): PolicyEngine {
  return {
    revision: () => '1',
    needs: () => new Set(['publishedAt']),
    evaluate({ coordinates: { version }, facts: { publishedAt = Infinity } }) {
      if (version === undefined || now() - publishedAt >= 3 * DAY) return { action: 'allow', rules: [] };
      return { action: 'hold', rules: [{ id: 'cooldown', action: 'hold', reason: 'too new' }] };
    },
  };
}

/** A repository with versions that are so many days old. */
async function open(ages: Readonly<Record<string, number>>, options: object = {}): Promise<GoRepository> {
  let now = (): number => 0;
  const repository = await openGo(
    { unverified: 'example.com/dated', ...options },
    cooldown(() => now()),
  );
  now = () => repository.repository.clock.now();
  const started = now();
  for (const version of Object.keys(ages))
    repository.modules.push(goModule({ path: 'example.com/dated', version, files: { 'a.go': 'package a' } }));
  repository.tamper((path, answer) => {
    const version = /^example\.com\/dated\/(?:@v\/(.+)\.info|@latest)$/.exec(path);
    if (version === null) return answer;
    const named = version[1] ?? (Object.keys(ages).at(-1) as string);
    const age = ages[named];
    return age === undefined
      ? answer
      : { body: JSON.stringify({ Version: named, Time: new Date(started - age * DAY).toISOString() }) };
  });
  return repository;
}

describe('versions that are too new', () => {
  it('are left out of lists and refused as zips, by the date of their .info', async () => {
    const { get } = await open({ 'v1.0.0': 400, 'v1.1.0': 20, 'v1.2.0': 1 });
    expect((await get(`${PATH}/@v/list`)).body.toString()).toBe('v1.0.0\nv1.1.0\n');
    const latest = await get(`${PATH}/@latest`);
    expect([latest.status, latest.body.toString()]).toEqual([403, expect.stringContaining('too new (rule cooldown)')]);
    expect((await get(`${PATH}/@v/v1.2.0.zip`)).status).toBe(403);
    expect((await get(`${PATH}/@v/v1.1.0.zip`)).status).toBe(200);
    // The graph of another build may need it.
    expect((await get(`${PATH}/@v/v1.2.0.mod`)).status).toBe(200);
    expect((await get(`${PATH}/@v/v1.2.0.zip`)).status).toBe(403);
  });

  it('are known to who asks why, one by one and all of a module', async () => {
    const { repository, asked } = await open({ 'v1.0.0': 400, 'v1.1.0': 1 });
    const { engine, clock } = repository;
    const subject = { ecosystem: 'golang', name: 'example.com/dated' };
    const [one, ...others] = await engine.describe({ ...subject, version: 'v1.1.0' });
    expect([one?.coordinates.version, one?.facts.publishedAt]).toEqual(['v1.1.0', clock.now() - DAY]);
    expect(others).toEqual([]);
    expect(asked.filter((path) => path.endsWith('.zip'))).toEqual([]);
    const all = await engine.describe(subject);
    expect(all.map(({ coordinates, facts }) => [coordinates.version, facts.publishedAt])).toEqual([
      ['v1.0.0', clock.now() - 400 * DAY],
      ['v1.1.0', clock.now() - DAY],
    ]);
  });

  it('ripen', async () => {
    const { get, repository } = await open({ 'v1.0.0': 400, 'v1.1.0': 1 });
    expect((await get(`${PATH}/@v/v1.1.0.zip`)).status).toBe(403);
    repository.clock.advance(3 * DAY);
    expect((await get(`${PATH}/@v/v1.1.0.zip`)).status).toBe(200);
  });

  it('are looked for among the newest only: the others are as old as the oldest of those', async () => {
    const ages = Object.fromEntries(Array.from({ length: 40 }, (_, minor) => [`v1.${minor}.0`, 40 - minor]));
    const { get, asked } = await open(ages);
    expect((await get(`${PATH}/@v/list`)).body.toString().split('\n').length).toBe(39);
    expect(asked.filter((path) => path.endsWith('.info')).length).toBe(8);
  });

  it('that have no date to be had keep nothing else back', async () => {
    const { get, tamper } = await open({ 'v1.0.0': 400, 'v1.1.0': 20 });
    tamper((path, answer) => (path.endsWith('v1.1.0.info') ? undefined : answer));
    expect((await get(`${PATH}/@v/list`)).status).toBe(200);
  });

  it('cost nothing where no rule looks at dates', async () => {
    const { get, asked, repository } = await openGo();
    expect((await get('/example.com/one/@v/list')).status).toBe(200);
    expect((await get('/example.com/one/@v/v1.0.0.zip')).status).toBe(200);
    expect(asked.filter((path) => path.endsWith('.info'))).toEqual([]);
    const described = await repository.engine.describe({ ecosystem: 'golang', name: 'example.com/one' });
    expect(described.map(({ coordinates }) => coordinates.version)).toContain('v1.0.0');
    expect(asked.filter((path) => path.endsWith('.info'))).toEqual([]);
  });
});
