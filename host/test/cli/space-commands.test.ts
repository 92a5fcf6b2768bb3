import { describe, expect, it } from 'vitest';
import { openServer, openUpstream, TOKEN } from '../admin/space-support.js';
import { TestProcess } from './test-context.js';

async function start() {
  const upstream = await openUpstream();
  const server = await openServer(`
  npm: { type: npm, upstream: "${upstream.fake.url}", quota: 1GiB, cache: { packument: { freshFor: 1h } } }
  uploads: { type: files, kind: hosted }`);
  upstream.putPackage('tool', ['1.0.0', '2.0.0']);
  for (const path of ['tool', 'tool/-/tool-1.0.0.tgz', 'tool/-/tool-2.0.0.tgz']) await server.get(`/npm/${path}`);
  await fetch(`${server.urls[0]}/uploads/a`, { method: 'PUT', body: 'text' });
  const run = async (words: readonly string[], isTerminal = false) => {
    const process = new TestProcess(server.folder);
    process.env = { ENTREPOT_ADMIN_TOKEN: TOKEN, ADMIN: TOKEN };
    process.isTerminal = isTerminal;
    const code = await process.run(...words, '--server', server.urls[0]);
    return { code, output: process.output.join('\n'), errors: process.errors.join('\n'), progress: process.progress };
  };
  return { ...server, run };
}

describe('purge', () => {
  it('says what would be removed, removes it, and says what was kept', async () => {
    const { run, get, logged } = await start();
    const { output } = await run(['purge', '/npm/tool', '--dry-run']);
    expect(output).toMatch(/^would remove 1 entries, and would delete 1 blobs \(\d+B\) that nothing else points at$/);
    expect((await get('/npm/tool')).cache).toBe('HIT');
    expect((await run(['purge', '/npm/tool', '--by', 'ann'])).output).toBe(
      output.replaceAll('would remove', 'removed').replaceAll('would delete', 'deleted'),
    );
    expect((await get('/npm/tool')).cache).toBe('MISS');
    expect(logged('purged')).toMatchObject([{ by: 'ann', subject: '/npm/tool' }]);
    await run(['pin', 'npm/tarball/**']);
    expect((await run(['purge', 'npm/**'])).output).toMatch(
      /^removed 1 entries.*\nkept 2 that are pinned \(--pinned removes them\)$/,
    );
    const json = JSON.parse((await run(['purge', 'npm/**', '--pinned', '--json'])).output) as object;
    expect(json).toMatchObject({ subject: 'npm/**', dryRun: false, entries: 2, kept: [] });
  });

  it('says what is wrong', async () => {
    const { run } = await start();
    expect(await run(['purge', 'uploads/**'])).toMatchObject({
      code: 1,
      errors: expect.stringContaining('uploads is a hosted repository'),
    });
    expect((await run(['purge', 'uploads/**', '--hosted'])).output).toContain('removed 1 entries');
    expect((await run(['purge', 'nmp/**'])).errors).toBe('entrepot: there is no repository "nmp"; did you mean npm?');
    expect((await run(['purge', 'npm/**', '--batch-size', 'many'])).errors).toContain(
      '--batch-size: expected a whole number',
    );
    expect((await run(['purge'])).code).toBe(64);
    const process = new TestProcess('/');
    expect(await process.run('purge', 'npm/**', '--server', 'http://127.0.0.1:1')).toBe(1);
    expect(process.errors.join('')).toContain('no server answers at http://127.0.0.1:1');
  });
});

describe('pins', () => {
  it('are made, listed and removed', async () => {
    const { run } = await start();
    expect((await run(['pins'])).output).toBe('nothing is pinned');
    expect((await run(['pin', '/npm/tool', '--dry-run'])).output).toBe('would pin npm/packument/tool');
    expect((await run(['pins'])).output).toBe('nothing is pinned');
    expect((await run(['pin', '/npm/tool', '--note', 'needed', '--by', 'ann'])).output).toMatch(
      /^pinned npm\/packument\/tool \([0-9a-f-]+\)$/,
    );
    expect((await run(['pin', 'pkg:npm/tool@1.0.0'])).code).toBe(0);
    const lines = (await run(['pins'])).output.split('\n');
    expect(lines[0]).toMatch(/^subject +id +since +by +note$/);
    expect(lines[1]).toMatch(/^npm\/packument\/tool +[0-9a-f-]+ +\d{4}-.*Z +ann +needed$/);
    const [, id = ''] = /^\S+ +(\S+)/.exec(lines[1] as string) ?? [];
    expect((await run(['unpin', id, '--dry-run'])).output).toBe('would unpin npm/packument/tool');
    expect((await run(['unpin', id])).output).toBe('unpinned npm/packument/tool');
    expect((await run(['unpin', 'pkg:npm/tool@1.0.0'])).output).toBe('unpinned pkg:npm/tool@1.0.0');
    expect(JSON.parse((await run(['pins', '--json'])).output)).toEqual({ pins: [] });
    expect(await run(['unpin', id])).toMatchObject({ code: 1, errors: expect.stringContaining('there is no pin') });
  });
});

describe('usage', () => {
  it('is printed as tables, and as JSON', async () => {
    const { run } = await start();
    const all = (await run(['usage'])).output;
    expect(all).toMatch(
      /^4 blobs, \d+(\.\d)?(KiB|B)\n\S+ free on the volume, of which 256MiB stay free\n\nrepository +kind +entries +size +quota\nnpm +proxy +3 +\S+ +1GiB\nuploads +hosted +1 +4B +-$/,
    );
    expect((await run(['usage', 'npm'])).output).toMatch(/^repository +kind +entries +size +quota\nnpm +proxy .*1GiB$/);
    expect((await run(['usage', '--packages'])).output).toMatch(
      /^package +repository +entries +size +last served\npkg:npm\/tool +npm +3 +\S+ +(never|\d{4}-\S+Z)$/m,
    );
    const both = (await run(['usage', 'npm', '--packages', '--ages'])).output;
    expect(both).toMatch(/pkg:npm\/tool[^]*\n\nlast served +entries +size\nwithin a day +\d[^]*\nnever +\d/);
    expect(JSON.parse((await run(['usage', 'uploads', '--ages', '--json'])).output)).toEqual({
      ages: expect.arrayContaining([expect.objectContaining({ age: 'older', entries: 0 })]),
    });
    expect(JSON.parse((await run(['usage', '--json'])).output)).toMatchObject({ blobs: 4 });
    expect((await run(['usage', 'nmp'])).errors).toBe(
      'entrepot: there is no repository nmp; expected one of npm, uploads',
    );
    expect((await run(['usage', '--packages', '--limit', '0'])).errors).toContain('--limit: expected a whole number');
  });
});

describe('statistics', () => {
  it('are printed as a table, and as JSON', async () => {
    const { run } = await start();
    const { output } = await run(['statistics']);
    expect(output).toMatch(
      /^(\d{4}-\d\d-\d\d) to \d{4}[^]*\n\nday +requests +downloads +sent +hit ratio +denied +failed +saved +time saved\n/,
    );
    expect(output).toMatch(/^\d{4}-\d\d-\d\d +[1-9]\d* +\d+ +\S+ .*\n(?:.*\n)?total +[1-9]\d* /m);
    const packages = (await run(['statistics', 'npm', '--by', 'package', '--sort', 'requests'])).output;
    expect(packages).toMatch(/\nrepository +package +requests [^]*\nnpm +pkg:npm\/tool +[1-9]/);
    const principals = (await run(['statistics', '--by', 'principal', '--days', '1'])).output;
    expect(principals).toMatch(/\n\(anonymous\) +[1-9]/);
    const json = JSON.parse((await run(['statistics', '--by', 'repository', '--json'])).output) as { rows: object[] };
    expect(json.rows).toEqual(expect.arrayContaining([expect.objectContaining({ repository: 'npm' })]));
    expect((await run(['statistics', '--unused'])).output).toMatch(/^package +repository +entries +size +last served/);
    expect((await run(['statistics', '--by', 'month'])).errors).toContain('by: ');
  });
});
