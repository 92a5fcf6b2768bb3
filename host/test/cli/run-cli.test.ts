import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { initialConfiguration } from '../../src/cli/initial-configuration.js';
import { loadConfig } from '../../src/config/load.js';
import { TestProcess } from './test-context.js';

let cwd: string;
let terminal: TestProcess;

beforeEach(() => {
  cwd = mkdtempSync(path.join(tmpdir(), 'entrepot-cli-'));
  terminal = new TestProcess(cwd);
});

afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

function write(text: string, name = 'entrepot.yaml'): void {
  writeFileSync(path.join(cwd, name), text);
}

describe('serve', () => {
  it.each([[['serve']], [[]], [['-c', 'other.yaml']]])('serves until a signal, as %j', async (words) => {
    write('log: { level: warn }', 'other.yaml');
    const code = terminal.run(...words);
    await terminal.served();
    expect(terminal.events).toEqual(['create', 'listen']);
    terminal.signals.emit('signal', 'SIGTERM');
    expect(await code).toBe(0);
    expect(terminal.events).toEqual(['create', 'listen', 'close']);
    expect(terminal.exits).toEqual([]);
    expect(terminal.signals.listenerCount('signal')).toBe(0);
    expect(terminal.loaded?.config.log.level).toBe(words.length === 2 ? 'warn' : 'info');
  });

  it('ends at once at the second signal', async () => {
    const code = terminal.run('serve');
    await terminal.served();
    terminal.signals.emit('signal', 'SIGINT');
    terminal.signals.emit('signal', 'SIGINT');
    expect(terminal.exits).toEqual([130]);
    expect(await code).toBe(0);
  });

  it('prints every problem of the configuration and exits with 78', async () => {
    write('server: { listn: 5 }\nlog: { level: loud }');
    expect(await terminal.run('serve')).toBe(78);
    expect(terminal.errors).toEqual([
      'server.listn: unknown key; did you mean listen?',
      'log.level: expected debug, info, warn, error or silent',
    ]);
    expect(terminal.output).toEqual([]);
  });

  it.each([
    [
      { code: 'EADDRINUSE', syscall: 'listen', address: '127.0.0.1', port: 80 },
      '127.0.0.1:80: another process listens there already; stop it, or set another address',
    ],
    [
      { code: 'EACCES', syscall: 'listen', address: '::', port: 80 },
      '[::]:80: this user may not listen there; set a port from 1024 on',
    ],
    [
      { code: 'EADDRNOTAVAIL', syscall: 'listen', address: '192.0.2.1', port: 80 },
      '192.0.2.1:80: this machine has no such address; set one of its own, or 0.0.0.0 for all',
    ],
    [
      { code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: 'no.example' },
      'no.example: there is no such host; set an IP address, or a name that resolves',
    ],
    [{ code: 'EWHAT', syscall: 'listen', address: '127.0.0.1', port: 80 }, '127.0.0.1:80: EWHAT'],
  ])('says in one line that it cannot listen, and closes: %j', async (fault, expected) => {
    terminal.listen = () => Promise.reject(Object.assign(new Error('x'), fault));
    expect(await terminal.run('serve')).toBe(1);
    expect(terminal.errors).toEqual([`entrepot: cannot listen on ${expected}`]);
    expect(terminal.events).toEqual(['create', 'close']);
  });

  it('says in one line what else went wrong', async () => {
    terminal.listen = () => Promise.reject(new Error('disk\nfull'));
    expect(await terminal.run('serve')).toBe(1);
    expect(terminal.errors).toEqual(['entrepot: disk full']);
    expect(terminal.events).toEqual(['create', 'close']);
  });
});

describe('serve at SIGHUP', () => {
  it('reads the configuration again: one after another, and once for all that come meanwhile', async () => {
    write('repositories: {}');
    const code = terminal.run('serve');
    await terminal.served();
    write('repositories: {}\nlog: { level: warn }');
    for (let signal = 0; signal < 5; signal += 1) terminal.signals.emit('hangup');
    await terminal.happened('apply');
    expect(terminal.loaded?.config.log.level).toBe('warn');
    expect(terminal.events).toEqual(['create', 'listen', 'prepare', 'apply']);
    terminal.signals.emit('signal', 'SIGTERM');
    expect(await code).toBe(0);
    expect(terminal.signals.listenerCount('hangup')).toBe(0);
  });

  it('logs all that is wrong, hides secrets of what has changed, and goes on reading the file of the start', async () => {
    write('repositories: {}\nmetrics: { token: "first secret" }');
    const code = terminal.run('serve');
    await terminal.served();
    write('server: { listn: 5 }\nlog: { level: loud }');
    terminal.signals.emit('hangup');
    await terminal.logged('the configuration was not reloaded; the one from before stays in force');
    rmSync(path.join(cwd, 'entrepot.yaml'));
    terminal.signals.emit('hangup');
    await terminal.logged('the configuration is refused', 3);
    write('repositories: {}\nmetrics: { token: "second secret" }\nserver: { trustProxy: [10.0.0.0/8, 192.0.2.1] }');
    terminal.signals.emit('hangup');
    await terminal.logged('the configuration was read again and is in force');
    expect(terminal.log.filter(({ level }) => level === 'error').map(({ fields }) => fields['problem'])).toEqual([
      'server.listn: unknown key; did you mean listen?',
      'log.level: expected debug, info, warn, error or silent',
      undefined,
      'entrepot.yaml: expected a configuration file; there is no such file',
      undefined,
    ]);
    expect(terminal.log.filter(({ level }) => level === 'info').map(({ fields }) => fields)).toEqual([
      { key: 'server.trustProxy', change: 'changed', from: '', to: '10.0.0.0/8, 192.0.2.1' },
      { key: 'metrics.token', change: 'changed', from: '(hidden)', to: '(hidden)' },
      { changes: 2 },
    ]);
    terminal.signals.emit('signal', 'SIGTERM');
    expect(await code).toBe(0);
  });
});

describe('validate', () => {
  it('says that the configuration is valid, without serving', async () => {
    expect(await terminal.run('validate')).toBe(0);
    expect(terminal.output).toEqual(['configuration is valid']);
    expect(terminal.events).toEqual(['check']);
  });

  it('prints every problem, those of plugins included, and exits with 78', async () => {
    terminal.problems = [
      { path: 'repositories.a.colour', message: 'unknown key' },
      { path: 'plugins.0', message: 'not found' },
    ];
    expect(await terminal.run('validate')).toBe(78);
    expect(terminal.errors).toEqual(['repositories.a.colour: unknown key', 'plugins.0: not found']);
    expect(terminal.output).toEqual([]);
  });

  it('names the file that is not there', async () => {
    expect(await terminal.run('validate', '-c', 'none.yaml')).toBe(78);
    expect(terminal.errors).toEqual(['none.yaml: expected a configuration file; there is no such file']);
  });
});

describe('version', () => {
  it('prints server, core, Node and plugins', async () => {
    expect(await terminal.run('version')).toBe(0);
    expect(terminal.output[0]).toMatch(/^entrepot \d+\.\d+\.\d+/);
    expect(terminal.output[1]).toMatch(/^core \d+\.\d+\.\d+\S* \(plugin API \d+\)$/);
    expect(terminal.output[2]).toBe(`node ${process.versions.node}`);
  });

  it('prints them as JSON, also while the configuration is broken', async () => {
    write('a: 1');
    expect(await terminal.run('version', '--json')).toBe(0);
    expect(JSON.parse(terminal.output.join('\n'))).toEqual({
      entrepot: expect.stringMatching(/^\d/) as string,
      core: expect.stringMatching(/^\d/) as string,
      api: expect.any(Number) as number,
      node: process.versions.node,
      plugins: expect.any(Array) as unknown[],
    });
  });
});

describe('init', () => {
  it('writes a file that is valid, and does not replace one', async () => {
    expect(await terminal.run('init')).toBe(0);
    expect(terminal.output).toEqual(['wrote entrepot.yaml; next: entrepot serve -c entrepot.yaml']);
    const file = path.join(cwd, 'entrepot.yaml');
    await expect(loadConfig({ file, env: {}, cwd })).resolves.toMatchObject({ file });
    expect(statSync(file).mode & 0o007).toBe(0);

    writeFileSync(file, 'log: {}');
    expect(await terminal.run('init')).toBe(1);
    expect(terminal.errors).toContain('entrepot.yaml: it exists; --force replaces it');
    expect(readFileSync(file, 'utf8')).toBe('log: {}');
    expect(await terminal.run('init', '--force')).toBe(0);
    expect(readFileSync(file, 'utf8')).not.toBe('log: {}');
  });

  it('writes to a named file or to standard output', async () => {
    expect(await terminal.run('init', '-o', 'my.yaml')).toBe(0);
    expect(await terminal.run('init', '-o', '-')).toBe(0);
    expect(terminal.output.slice(1).join('\n')).toBe(readFileSync(path.join(cwd, 'my.yaml'), 'utf8').trimEnd());
  });

  it('says why it cannot write', async () => {
    expect(await terminal.run('init', '-o', 'no/folder.yaml')).toBe(1);
    expect(terminal.errors).toContain('no/folder.yaml: it cannot be written (ENOENT)');
  });
});

describe('the initial configuration', () => {
  const source = 'the settings of the client';

  it.each([
    ['nothing was found', [{ type: 'files', kinds: ['proxy', 'hosted'], upstreams: [] }], {}],
    [
      'an upstream was found',
      [
        { type: 'files', kinds: ['proxy', 'hosted'], upstreams: [] },
        { type: 'npm', kinds: ['proxy'], upstreams: [{ url: 'https://registry.example.com', source }] },
      ],
      { repositories: { npm: { type: 'npm' } } },
    ],
  ] as const)('switches on only what works here, when %s', (_what, repositories, expected) => {
    expect(parse(initialConfiguration(repositories)) ?? {}).toEqual(expected);
  });

  it('shows what was found as comments that are valid when they are no comments', () => {
    const upstreams = [
      { url: 'https://registry.example.com', source: 'settings\nserver: { listen: evil }' },
      { url: 'https://npm.example.com', scope: '@acme', source },
    ];
    const text = initialConfiguration([{ type: 'npm', kinds: ['proxy'], upstreams }]);
    expect(parse(text)).toEqual({ repositories: { npm: { type: 'npm' } } });
    const uncommented = text.replace(/^ {4}# (upstreams:|  )/gm, '    $1');
    expect(parse(uncommented)).toEqual({
      repositories: {
        npm: {
          type: 'npm',
          upstreams: ['https://registry.example.com', { url: 'https://npm.example.com', scope: '@acme' }],
        },
      },
    });
  });
});

describe('the command line', () => {
  it('names the command that was meant', async () => {
    expect(await terminal.run('docter')).toBe(64);
    expect(terminal.errors).toEqual(['error: unknown command "docter"; did you mean doctor?']);
  });

  it.each([
    [['serv'], 64],
    [['--listen', '1'], 64],
    [['serve', '-c'], 64],
    [['validate', 'x', 'y'], 64],
    [['--help'], 0],
    [['--version'], 0],
    [['serve', '--help'], 0],
  ])('%j exits with %d and says why', async (words, code) => {
    expect(await terminal.run(...words)).toBe(code);
    expect(code === 0 ? terminal.output : terminal.errors).not.toEqual([]);
    expect(terminal.events).toEqual([]);
  });
});
