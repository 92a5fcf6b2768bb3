import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

// What only a process of its own can show. Runs on what is built, as people run it.
const HOST = path.resolve(import.meta.dirname, '../..');
/** The program of the distribution. */
const MAIN = path.resolve(HOST, '../deploy/npm/bin/entrepot.js');

let cwd: string;
let child: ChildProcess | undefined;

beforeEach(() => {
  const built = path.resolve(HOST, '../deploy/npm/dist/index.js');
  expect(existsSync(built), `${built} is missing: npm run build`).toBe(true);
  cwd = mkdtempSync(path.join(tmpdir(), 'entrepot-main-'));
});

afterEach(async () => {
  if (child !== undefined && child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(cwd, { recursive: true, force: true });
});

interface Run {
  readonly process: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
  /** The first line of standard output that `matches`. */
  line(matches: string): Promise<string>;
}

function run(config: object, ...words: string[]): Run {
  writeFileSync(path.join(cwd, 'entrepot.yaml'), JSON.stringify(config));
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ENTREPOT_')));
  const started = spawn(process.execPath, [MAIN, ...words], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  child = started;
  let stdout = '';
  let stderr = '';
  started.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  started.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = once(started, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return {
    process: started,
    ended,
    async line(matches) {
      for (;;) {
        const found = stdout.split('\n').find((text) => text.includes(matches));
        if (found !== undefined) return found;
        const ending = await Promise.race([once(started.stdout, 'data').then(() => undefined), ended]);
        if (ending !== undefined) throw new Error(`no line with ${matches}:\n${ending.stdout}${ending.stderr}`);
      }
    },
  };
}

const QUIET = { server: { listen: '127.0.0.1:0' }, repositories: {} };

it('serves, and ends with 0 after SIGTERM', async () => {
  const server = run(QUIET, 'serve');
  const serving = JSON.parse(await server.line('"msg":"serving"')) as { readonly listen: readonly string[] };
  const response = await fetch(`${serving.listen[0]}/-/livez`);
  expect(response.status).toBe(200);
  await response.text();
  server.process.kill('SIGTERM');
  expect((await server.ended).code).toBe(0);
});

it('exits with 78 and one line for each problem', async () => {
  const { code, stdout, stderr } = await run({ servr: {}, log: { level: 'loud' } }, 'validate').ended;
  expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
  expect(stderr.trimEnd().split('\n')).toEqual([
    'log.level: expected debug, info, warn, error or silent',
    'servr: unknown key; did you mean server?',
  ]);
});

it('says in one line that another process listens there', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const listen = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  try {
    const { code, stderr } = await run({ ...QUIET, server: { listen } }, 'serve').ended;
    expect(code).toBe(1);
    expect(stderr.trimEnd().split('\n')).toEqual([
      `entrepot: cannot listen on ${listen}: another process listens there already; stop it, or set another address`,
    ]);
  } finally {
    await new Promise((resolve) => other.close(resolve));
  }
});

it('says that a good configuration is valid', async () => {
  const { code, stdout, stderr } = await run(QUIET, 'validate').ended;
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'configuration is valid\n', stderr: '' });
});

it('names the plugins that are bundled', async () => {
  const { code, stdout } = await run(QUIET, 'version', '--json').ended;
  const { plugins } = JSON.parse(stdout) as { readonly plugins: readonly { readonly id: string }[] };
  expect(code).toBe(0);
  expect(plugins.map(({ id }) => id)).toEqual(expect.arrayContaining(['npm', 'files']));
});

it('says in one sentence which Node it needs, and is what the package asks for', async () => {
  const { engines } = JSON.parse(readFileSync(path.resolve(HOST, 'package.json'), 'utf8')) as {
    engines: { node: string };
  };
  const older = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '22.18.0' } })";
  // Apart from the clone, which brings a Node along.
  const installed = path.join(cwd, 'main.js');
  for (const file of ['main.js', 'program.js'])
    copyFileSync(path.resolve(HOST, 'dist/cli', file), path.join(cwd, file));
  writeFileSync(path.join(cwd, 'package.json'), '{ "type": "module" }');
  const started = spawn(process.execPath, ['--import', `data:text/javascript,${older}`, installed, 'version'], { cwd });
  child = started;
  let stderr = '';
  started.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = await once(started, 'close');
  const needed = engines.node.replace('>=', '');
  expect(stderr).toBe(`Entrepot needs Node ${needed} or newer, found 22.18.0: install a maintained version of Node\n`);
  expect(code).toBe(1);
});

it.each(['host', 'deploy/npm'])('%s: is linked by npm from a file that needs no build', async (name) => {
  const folder = path.resolve(HOST, '..', name);
  const { bin } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as {
    bin: Record<string, string>;
  };
  const [program = ''] = Object.values(bin);
  expect(program).not.toContain('dist');
  const started = spawn(process.execPath, [path.join(folder, program), 'version'], { cwd });
  child = started;
  let stdout = '';
  started.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  await once(started, 'close');
  expect(stdout).toMatch(/^entrepot \d/);
});

it('says what to install where the host is by itself, and has no configuration', async () => {
  const started = spawn(process.execPath, [path.join(HOST, 'bin/entrepot-host.js')], { cwd });
  child = started;
  let stderr = '';
  started.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = await once(started, 'close');
  expect(stderr).toContain('npm install @entrepot/plugin-npm');
  expect(code).toBe(78);
});
