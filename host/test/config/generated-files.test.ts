import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { AnyDeclaredPlugin } from '@entrepot/core';
import { cacheClassesOf } from '@entrepot/core/engine';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { variableName } from '../../src/config/environment.js';
import { generatedFiles } from '../../src/config/generated-files.js';
import { childSchema, configJsonSchema, knownKeys, type JsonSchema } from '../../src/config/json-schema.js';
import { expandReferences } from '../../src/config/references.js';
import { validateConfig } from '../../src/config/validate.js';
import { DISTRIBUTION } from 'entrepot';

const ROOT = path.resolve(import.meta.dirname, '../../..');

const packages = await Promise.all(
  [...new Set(Object.values(DISTRIBUTION.formats))].map(
    async (name) => (await import(name)) as { readonly default: AnyDeclaredPlugin | readonly AnyDeclaredPlugin[] },
  ),
);
const plugins = packages.flatMap((one) => one.default);
const page = readFileSync(path.join(ROOT, 'docs/configuration.md'), 'utf8');
const files = generatedFiles(plugins, page);

it.each(Object.keys(files))('%s is up to date (else: npm run build && node scripts/generate-docs.mjs)', (file) => {
  expect(readFileSync(path.join(ROOT, file), 'utf8')).toBe(files[file]);
});

describe('docs/configuration.md', () => {
  it('has every key with its variable and its meaning', () => {
    const leaves = leavesBelow(configJsonSchema(), []);
    expect(leaves.length).toBeGreaterThan(50);
    for (const leaf of leaves) {
      const line = page.split('\n').find((text) => text.includes(`| \`${variableName(leaf)}\` |`));
      expect(line, leaf.join('.')).toMatch(/\| [^|]{10,} \|$/);
    }
  });

  it('has examples that are valid', () => {
    const examples = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => parse(text as string) as unknown);
    expect(examples.length).toBeGreaterThan(1);
    for (const example of examples) {
      const { tree } = expandReferences(example, { env: { METRICS_TOKEN: 'x' }, directory: '/' });
      const problems = validateConfig(tree).problems;
      // The secret of the example is not on this machine.
      expect(problems.filter((problem) => !problem.path.endsWith('auth.token'))).toEqual([]);
    }
  });

  it('has the options and classes of every bundled plugin', () => {
    for (const plugin of plugins) {
      const part = page.slice(page.indexOf(`## Repositories of type \`${plugin.id}\``));
      for (const name of Object.keys(cacheClassesOf(plugin))) expect(part).toContain(`| \`${name}\` |`);
    }
  });
});

describe('host/entrepot.schema.json', () => {
  const schema = JSON.parse(files['host/entrepot.schema.json'] as string) as JsonSchema;

  it('describes what people write, not what it becomes', () => {
    const server = childSchema(schema, 'server') as JsonSchema;
    const pattern = childSchema(server, 'drainTimeout')?.anyOf?.[0]?.pattern as string;
    expect(childSchema(server, 'listen')).toMatchObject({ type: 'string', default: '127.0.0.1:8080' });
    for (const text of ['30s', '1h30m', '0', '${env:DRAIN}']) expect(text).toMatch(new RegExp(pattern));
    expect('30 seconds').not.toMatch(new RegExp(pattern));
    expect(JSON.stringify(schema)).not.toContain('"form"');
  });

  it('knows the options of the bundled plugins', () => {
    const repository = (childSchema(schema, 'repositories') as JsonSchema).additionalProperties as JsonSchema;
    const types = (repository.allOf ?? []).map((part) => childSchema(part['if'] as JsonSchema, 'type')?.const);
    expect(types).toEqual(plugins.map(({ id }) => id).sort());
  });
});

function leavesBelow(schema: JsonSchema, keys: readonly string[]): string[][] {
  const known = knownKeys(schema);
  if (keys.at(-1) === 'upstreams') return [[...keys]];
  if (keys.length === 1 && keys[0] === 'repositories') {
    return leavesBelow(schema.additionalProperties as JsonSchema, [...keys, '<name>']);
  }
  if (keys.at(-1) === 'cache' && keys.length === 3) {
    return leavesBelow(schema.additionalProperties as JsonSchema, [...keys, '<class>']);
  }
  if (keys.at(-1) === 'users') return leavesBelow(schema.additionalProperties as JsonSchema, [...keys, '<user>']);
  if (known.length === 0) return [[...keys]];
  return known.flatMap((key) => leavesBelow(childSchema(schema, key) as JsonSchema, [...keys, key]));
}
