import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { checkConfiguration } from '../../src/create-host.js';
import { blamed } from '../../src/plugins/blame.js';
import { TestProcess } from '../cli/test-context.js';

const MAIN = path.resolve(import.meta.dirname, '../../dist/cli/main.js');
const CORE = pathToFileURL(path.resolve(import.meta.dirname, '../../../core/dist/index.js')).href;

function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'entrepot-blame-')));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(folder, name), content);
  return folder;
}

/** A plugin whose `create` runs `body` first. */
function plugin(body: string): string {
  return `import { defineProtocolPlugin } from '${CORE}';
const options = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
export default defineProtocolPlugin({
  id: 'careless', options, inject: {},
  proxy: { classes: {}, create() { ${body}; return { route: () => undefined }; } },
});`;
}

const CONFIG = `server: { listen: 127.0.0.1:0 }
plugins: [./careless.mjs]
repositories: { one: { type: careless, upstream: 'http://127.0.0.1:1' } }
`;

describe('an error that nobody handles', () => {
  it.each([
    ['a rejection', "void Promise.reject(new Error('nobody waits'))", 'a promise that nobody waits for was rejected'],
    ['a throw in a timer', "setImmediate(() => { throw new Error('nobody waits'); })", 'an error was thrown'],
  ])('ends the server, and names the plugin that it is of: %s', async (_what, body, what) => {
    const cwd = folderWith({ 'entrepot.yaml': CONFIG, 'careless.mjs': plugin(body) });
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ENTREPOT_')));
    const child = spawn(process.execPath, [MAIN], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const [output, , [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    expect(code).not.toBe(0);
    const line = output.split('\n').find((one) => one.includes('the process ends'));
    expect(JSON.parse(line ?? '{}')).toMatchObject({
      level: 'error',
      plugin: './careless.mjs',
      location: path.join(cwd, 'careless.mjs'),
      msg: `the process ends: ${what} in the plugin ./careless.mjs: Error: nobody waits`,
    });
  });

  it('is of the plugin whose code is nearest to it, or of none', () => {
    const one = { package: 'one', location: '/plugins/one' };
    const two = { package: 'two', location: '/plugins/two' };
    const error = Object.assign(new Error('x'), {
      stack:
        'Error: x in /plugins/one\n    at f (file:///plugins/two/a.js:1:1)\n    at g (file:///plugins/one/b.js:1:1)',
    });
    expect(blamed(error, [one, two])).toBe(two);
    expect(blamed(new Error('x'), [one, two])).toBeUndefined();
    expect(blamed('text', [one])).toBeUndefined();
  });
});

describe('a plugin that cannot be loaded', () => {
  it('is one problem, and its repositories are none', async () => {
    const cwd = folderWith({ 'entrepot.yaml': CONFIG, 'careless.mjs': "throw new Error('no');" });
    const terminal = new TestProcess(cwd);
    terminal.checkConfiguration = checkConfiguration;
    expect(await terminal.run('validate')).toBe(78);
    expect(terminal.errors).toEqual([expect.stringMatching(/^plugins\.0: plugin \.\/careless\.mjs .*Error: no$/)]);
  });

  it('hides no type that is misspelt', async () => {
    const cwd = folderWith({
      'entrepot.yaml': `${CONFIG}  two: { type: nmp, upstream: 'http://127.0.0.1:1' }\n`
        .replace('repositories: { one: {', 'repositories:\n  one: {')
        .replace("'http://127.0.0.1:1' } }", "'http://127.0.0.1:1' }"),
      'careless.mjs': "throw new Error('no');",
    });
    const terminal = new TestProcess(cwd);
    terminal.checkConfiguration = checkConfiguration;
    expect(await terminal.run('validate')).toBe(78);
    expect(terminal.errors[1]).toContain('repositories.two.type: unknown type "nmp"; did you mean npm?');
  });
});
