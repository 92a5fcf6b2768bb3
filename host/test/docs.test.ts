import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import * as cli from '../src/cli/program.js';
import { applyEnvironment } from '../src/config/environment.js';
import * as core from '@entrepot/core';
import * as blobs from '@entrepot/core/blobs';
import * as formats from '@entrepot/core/formats';
import * as testing from '@entrepot/core/testing';
import { printProblem } from '../src/config/configuration-error.js';
import { childSchema, configJsonSchema, recordSchema, type JsonSchema } from '../src/config/json-schema.js';
import { parseYaml } from '../src/config/read-yaml.js';
import { validateConfig } from '../src/config/validate.js';
import { checkConfiguration } from '../src/create-host.js';
import { TestProcess } from './cli/test-context.js';

// Pages and messages name only things that exist.

const ROOT = path.resolve(import.meta.dirname, '../..');
const PAGES = globSync('**/*.md', {
  cwd: ROOT,
  exclude: (name) => ['.changeset', '.git', 'dist', 'node_modules'].includes(path.basename(name)),
}).sort();

/** The page on the Helm chart, which names its values as well. */
const CHART_PAGE = 'docs/kubernetes.md';

const BCRYPT = '$2b$10$ad.7yTvuGM47be6iP/iB9.IsnR3Arf4lGhlMYMu87SsgnU3Gs9vvi';

interface Found {
  readonly page: string;
  readonly text: string;
}

const texts = PAGES.map((page): Found => ({ page, text: readFileSync(path.join(ROOT, page), 'utf8') }));

/** Every match of `pattern` in the pages, as `page: what`. */
function matches(pattern: RegExp, among: readonly Found[] = texts): { readonly page: string; readonly what: string }[] {
  return among.flatMap(({ page, text }) =>
    [...text.matchAll(pattern)].map((match) => ({ page, what: (match[1] ?? match[0]).trim() })),
  );
}

/** Text in backticks, or in a fence. */
const CODE = texts.map(({ page, text }) => ({
  page,
  text: [...text.matchAll(/```[^\n]*\n([\s\S]*?)```|`([^`\n]+)`/g)].map(([, fence, span]) => fence ?? span).join('\n'),
}));

describe('the docs', () => {
  it('link to what is there', () => {
    const links = matches(/\]\((?!https?:|mailto:|#)([^)\s]+)\)/g);
    const broken = links.filter(({ page, what }) => {
      const [file = '', anchor] = what.split('#');
      const target = path.join(ROOT, path.dirname(page), file);
      if (!existsSync(target)) return true;
      return anchor !== undefined && !anchorsOf(readFileSync(target, 'utf8')).has(anchor);
    });
    expect(links.length).toBeGreaterThan(30);
    expect(broken).toEqual([]);
  });

  it('name paths of the repository that are there', () => {
    const paths = matches(
      /(?<![\w./@-])((?:core|host|plugins|docs|scripts|acceptance|bench|templates|deploy)\/[\w./*{},-]*)/g,
      CODE,
    );
    // Files that the scripts make.
    const ignored = new Set(
      readFileSync(path.join(ROOT, '.gitignore'), 'utf8')
        .split('\n')
        .map((line) => line.replaceAll(/^\/|\/$/g, '')),
    );
    const missing = paths.filter(({ what }) => {
      const name = what.replace(/[.,]+$/, '').replace(/\/$/, '');
      if (ignored.has(name)) return false;
      return globSync([name, `${name}.ts`, `${name}.mjs`], { cwd: ROOT }).length === 0;
    });
    expect(paths.length).toBeGreaterThan(30);
    expect(missing).toEqual([]);
  });

  it('name files of their package, or of a template, that are there', () => {
    const templates = globSync('templates/*', { cwd: ROOT });
    const files = matches(/^((?:src|test|lib)\/[\w./-]+\.\w+)$/gm, CODE);
    const missing = files.filter(({ page, what }) =>
      [path.dirname(page), ...templates].every((folder) => !existsSync(path.join(ROOT, folder, what))),
    );
    expect(files.length).toBeGreaterThan(10);
    expect(missing).toEqual([]);
  });

  it('show the layout as it is', () => {
    const page = texts.find(({ page: name }) => name === 'docs/architecture.md')?.text ?? '';
    const layout = /## 3\. Layout\n```\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
    const places = layout
      .split('\n')
      .flatMap((line) => line.split(' ', 1))
      .filter(Boolean);
    expect(places.length).toBeGreaterThan(10);
    expect(places.filter((place) => !existsSync(path.join(ROOT, place)))).toEqual([]);
    const drivers = /^host\/src\/drivers\/ +(.*)$/m.exec(layout)?.[1]?.split(', ') ?? [];
    expect(drivers.length).toBeGreaterThan(3);
    const missing = drivers.filter(
      (driver) => globSync([driver, `${driver}.ts`], { cwd: path.join(ROOT, 'host/src/drivers') }).length === 0,
    );
    expect(missing).toEqual([]);
  });

  it('name commands that are there', async () => {
    const terminal = new TestProcess(ROOT);
    expect(await terminal.run('--help')).toBe(0);
    const known = [...terminal.output.join('\n').matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, name]) => name);
    expect(known).toEqual(expect.arrayContaining(['serve', 'doctor', 'exceptions']));
    const named = matches(/(?:^|npx |[^-./\w])entrepot (?!https?:)([a-z][a-z-]+)/gm, CODE);
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter(({ what }) => !known.includes(what))).toEqual([]);
  });

  it('name options of commands that are there', async () => {
    const lines = CODE.flatMap(({ page, text }) =>
      [...text.matchAll(/(?:^|npx )entrepot ((?:[a-z-]+ ?)+)([^|&#\n]*)/gm)].map(([, words = '', rest = '']) => ({
        page,
        words: words.trim().split(' ').slice(0, 2),
        options: rest.match(/(?<![\w-])--[a-z][a-z-]*/g) ?? [],
      })),
    );
    expect(lines.flatMap(({ options }) => options).length).toBeGreaterThan(5);
    const unknown = [];
    for (const { page, words, options } of lines.filter(({ options: named }) => named.length > 0)) {
      const terminal = new TestProcess(ROOT);
      await terminal.run(...words, '--help');
      const help = terminal.output.join('\n');
      for (const option of options) if (!new RegExp(`${option}\\b`).test(help)) unknown.push({ page, words, option });
    }
    expect(unknown).toEqual([]);
  });

  it('name npm scripts that are there', () => {
    const runs = [/npm run (?:--silent )?([\w:-]+)/g, /npm (test|start)\b/g].flatMap((form) => matches(form, CODE));
    expect(runs.length).toBeGreaterThan(10);
    const unknown = runs.filter(({ page, what }) =>
      [path.dirname(page), '.'].every((folder) => !Object.hasOwn(scriptsOf(folder), what)),
    );
    expect(unknown).toEqual([]);
  });

  it('name variables of the environment that are there', () => {
    const named = new Set(matches(/\b(ENTREPOT_[A-Z0-9_<>]*[A-Z0-9>])/g).map(({ what }) => what));
    // Names the file, not a key in it.
    named.delete('ENTREPOT_CONFIG');
    expect(named.size).toBeGreaterThan(50);
    const unknown = [...named].filter((name) => {
      const variable = name.replaceAll('<NAME>', 'NPM').replaceAll(/[<>]/g, '');
      return applyEnvironment({}, { [variable]: 'x' }, ['npm']).problems.length > 0;
    });
    expect(unknown).toEqual([]);
  });

  it('name metrics that are there', () => {
    const sources = globSync('host/src/**/*.ts', { cwd: ROOT }).map((file) =>
      readFileSync(path.join(ROOT, file), 'utf8'),
    );
    const known = new Set(sources.flatMap((text) => [...text.matchAll(/'(entrepot_\w+)'/g)].map(([, name]) => name)));
    const named = matches(/\b(entrepot_[a-z0-9_]+)/g);
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter(({ what }) => !known.has(what))).toEqual([]);
  });

  it('name exports that are there', () => {
    const entries: Readonly<Record<string, object>> = {
      core,
      'core/blobs': blobs,
      'core/formats': formats,
      'core/testing': testing,
      'host/cli': cli,
    };
    const found = CODE.flatMap(({ page, text }) =>
      [...text.matchAll(/^import \{ ([^}]+) \} from '@entrepot\/([\w/]*)'/gm)].flatMap(([, names = '', from = '']) =>
        names.split(',').map((name) => ({ page, from, name: name.trim() })),
      ),
    );
    expect(found.length).toBeGreaterThan(5);
    // Types leave no trace in what is run.
    const values = found.filter(({ name }) => !name.startsWith('type '));
    expect(values.filter(({ from, name }) => !(name in (entries[from] ?? {})))).toEqual([]);
  });

  it('name members of plugins that are there', () => {
    const page = texts.find(({ page: name }) => name === 'docs/writing-a-protocol-plugin.md')?.text ?? '';
    const api = globSync('core/src/{api,formats,formats/versions,plugin,testing}/*.ts', { cwd: ROOT })
      .map((file) => readFileSync(path.join(ROOT, file), 'utf8'))
      .join('\n');
    const named = [...page.matchAll(/`([a-z][a-zA-Z]+)(?:\([^`]*\))?`/g)].map(([, name = '']) => name);
    expect(named.length).toBeGreaterThan(50);
    // Every one is a word of the sources of the API, or of `package.json`.
    const ofNpm = new Set(['peerDependencies', 'devDependencies']);
    expect(named.filter((name) => !ofNpm.has(name) && !new RegExp(`\\b${name}\\b`).test(api))).toEqual([]);
  });

  it('name keys of the configuration that are there', () => {
    const root = configJsonSchema();
    const sections = Object.keys(root.properties ?? {}).join('|');
    const keys = matches(new RegExp(`^((?:${sections})\\.[a-zA-Z.<>]+)(?::.*)?$`, 'gm'), CODE);
    expect(keys.length).toBeGreaterThan(30);
    const repository = recordSchema(root.properties?.['repositories'] ?? {}) ?? {};
    const unknown = keys.filter(({ page, what }) => {
      // The example of a misspelt key exists nowhere.
      if (what.endsWith('.md') || what === 'server.listn') return false;
      if (page === CHART_PAGE && isValue(what.split('.'))) return false;
      // In the text on a repository its own keys are named without what leads there.
      return ![root, repository].some((schema) => isKey(schema, what.split('.')));
    });
    expect(unknown).toEqual([]);
  });

  it('have a README whose configuration is right as it is pasted', async () => {
    const cwd = mkdtempSync(path.join(tmpdir(), 'entrepot-docs-'));
    onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
    const [yaml] = matches(
      /```yaml\n([\s\S]*?)```/g,
      texts.filter(({ page }) => page === 'README.md'),
    );
    writeFileSync(path.join(cwd, 'entrepot.yaml'), yaml?.what ?? '');
    const terminal = new TestProcess(cwd);
    terminal.checkConfiguration = checkConfiguration;
    await terminal.run('validate');
    expect([...terminal.errors, ...terminal.output]).toEqual(['configuration is valid']);
  });

  it('have samples whose keys and values are known', () => {
    // Neither a policy of its own, nor what Kubernetes reads.
    const samples = matches(/```yaml\n([\s\S]*?)```/g).filter(
      ({ what }) =>
        /^(server|repositories|policy|scanners|storage|metadata|admin):/m.test(what) &&
        !/^(version|apiVersion):/m.test(what),
    );
    expect(samples.length).toBeGreaterThan(10);
    const wrong = samples.flatMap(({ page, what }) => problemsOf(what).map((problem) => `${page}: ${problem}`));
    expect(wrong).toEqual([]);
  });
});

/** Tells whether `keys` lead to a value of the Helm chart. Keys that are free below a value are not known here. */
function isValue(keys: readonly string[]): boolean {
  const file = path.join(ROOT, 'deploy/helm/entrepot/values.yaml');
  let value: unknown = parseYaml(readFileSync(file, 'utf8'), file).value;
  for (const key of keys) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return false;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return true;
}

function scriptsOf(folder: string): object {
  const file = path.join(ROOT, folder, 'package.json');
  if (!existsSync(file)) return {};
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly scripts?: object }).scripts ?? {};
}

/** Finds the faults of a sample of the configuration. References stand for valid values, shortened hashes for whole ones. */
function problemsOf(yaml: string): string[] {
  const filled = yaml
    .replaceAll(/\$\{env:\w*DATABASE\w*\}/g, 'postgres://entrepot:secret@db.example.com/entrepot')
    .replaceAll(/\$\{(env|file):[^}]*\}/g, 'x'.repeat(40))
    .replaceAll(/\$(scrypt|2[aby])\$[^\s',}]*…/g, () => BCRYPT);
  const { value, problems } = parseYaml(filled, 'sample');
  return [...problems, ...(problems.length > 0 ? [] : validateConfig(value).problems)].map(printProblem);
}

/** The anchors of headings, as forges make them. */
function anchorsOf(markdown: string): Set<string> {
  const headings = [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
  return new Set(headings);
}

/** Whether `keys` lead to a key of the configuration. Below a repository stand options of its plugin as well. */
function isKey(root: JsonSchema, keys: readonly string[]): boolean {
  let schema: JsonSchema | undefined = root;
  for (const [depth, key] of keys.entries()) {
    if (keys[0] === 'repositories' && depth > 1) return true;
    schema = (schema && recordSchema(schema)) ?? (schema && childSchema(schema, key));
    if (schema === undefined) return false;
  }
  return true;
}
