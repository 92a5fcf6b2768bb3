import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runTool, withToolPlace, type ToolRun } from '../../src/tool/index.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'run-tool-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function run(script: string, options: Partial<ToolRun> = {}) {
  const { signal } = new AbortController();
  const args = ['-e', script];
  return runTool({
    command: process.execPath,
    args,
    cwd: folder,
    env: {},
    signal,
    largestOutput: 1_000_000,
    ...options,
  });
}

/** A child that holds the pipes of its parent open for ever, and writes down who it is. */
const CHILD = (detached: boolean) => `
  const { spawn } = require('node:child_process');
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit', detached: ${detached} });
  child.unref();
  require('node:fs').writeFileSync('child', String(child.pid));
`;

describe('a run of a tool', () => {
  it('gives what it printed and its exit code', async () => {
    const output = await run(`console.log('out'); console.error('err'); process.exitCode = 3`);

    expect(output).toEqual({ code: 3, stdout: 'out\n', stderr: 'err\n' });
  });

  it('has the environment that it was given, and no other', async () => {
    const { stdout } = await run('console.log(JSON.stringify(process.env))', { env: { GIVEN: 'yes' } });

    expect(JSON.parse(stdout)).toEqual({ GIVEN: 'yes' });
  });

  it('reads everything that a fast one prints', async () => {
    const { stdout } = await run(`process.stdout.write('x'.repeat(900_000))`);

    expect(stdout).toHaveLength(900_000);
  });

  it('ends when it prints too much', async () => {
    const endless = `const more = () => { while (process.stdout.write('x'.repeat(65536))); process.stdout.once('drain', more); }; more();`;

    await expect(run(endless)).rejects.toMatchObject({ name: 'ToolFailure', reason: 'output' });
  });

  it('ends what it left behind', async () => {
    await run(CHILD(false));

    await ended(Number(await readFile(join(folder, 'child'), 'utf8')));
  });

  it('does not wait for what has left its group', async () => {
    await run(`${CHILD(true)} console.log('done')`);

    process.kill(Number(await readFile(join(folder, 'child'), 'utf8')), 'SIGKILL');
  });

  it('is ended for the reason of its signal', async () => {
    const reason = new Error('nobody waits');
    const abort = new AbortController();
    const running = run('setInterval(() => {}, 1000)', { signal: abort.signal });
    setImmediate(() => abort.abort(reason));

    await expect(running).rejects.toBe(reason);
  });

  it('is not started when its signal is aborted', async () => {
    await expect(run('', { signal: AbortSignal.abort(new Error('too late')) })).rejects.toThrow('too late');
  });

  it('says that a program is missing', async () => {
    await expect(run('', { command: join(folder, 'none') })).rejects.toMatchObject({ reason: 'missing' });
  });
});

describe('a place', () => {
  it('is empty where the tool runs, and gone afterwards', async () => {
    const script = `console.log(JSON.stringify([require('node:fs').readdirSync('.'), process.cwd(), process.env.HOME]))`;

    const [beside, work, home] = await withToolPlace(async (place) => {
      const { signal } = new AbortController();
      const { stdout } = await place.run(process.execPath, ['-e', script], { signal, largestOutput: 1_000 });
      return JSON.parse(stdout) as [string[], string, string];
    });

    expect(beside).toEqual([]);
    for (const path of [work, home]) await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('is gone when its use fails', async () => {
    let folder = '';

    const using = withToolPlace(async (place) => {
      ({ folder } = place);
      throw new Error('no good');
    });

    await expect(using).rejects.toThrow('no good');
    await expect(readFile(folder)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

async function ended(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
      if (/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return;
    } catch {
      return;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}
