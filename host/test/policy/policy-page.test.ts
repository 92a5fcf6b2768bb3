import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkPolicy, createPolicy, PRESET_NAMES, PRESETS } from '@entrepot/core/engine';
import { compileExpression } from '../../src/policy/compile-expression.js';
import { parseYaml } from '../../src/config/read-yaml.js';
import { checkDocument } from '../../src/policy/policy-document.js';

const page = readFileSync(new URL('../../../docs/policy.md', import.meta.url), 'utf8');

/** The cells of the rows whose first one is `name` in backquotes. */
function rowsOf(name: string): readonly (readonly string[])[] {
  const lines = page.split('\n').filter((line) => line.startsWith(`| \`${name}\``));
  return lines.map((line) => line.split('|').map((cell) => cell.trim()));
}

/** The keys that an object of the document may have, by what is said of one that it may not. */
function keysAt(document: unknown): readonly string[] {
  const problem = checkPolicy(document).find(({ message }) => message.startsWith('unknown key'));
  return problem?.message.replace('unknown key; expected one of ', '').split(', ') ?? [];
}

const inRule = (rest: object): object => ({ version: 1, rules: [{ id: 'r', action: 'deny', ...rest }] });
const places: Readonly<Record<string, object>> = {
  document: { version: 1, x: 1 },
  defaults: { version: 1, defaults: { x: 1 } },
  firstFetch: { version: 1, defaults: { firstFetch: { x: 1 } } },
  repositories: { version: 1, repositories: { r: { x: 1 } } },
  rules: inRule({ x: 1 }),
  match: inRule({ match: { x: 1 } }),
  when: inRule({ when: { x: 1 } }),
  age: inRule({ when: { age: { x: 1 } } }),
  vuln: inRule({ when: { vuln: { x: 1 } } }),
  licenses: inRule({ when: { licenses: { x: 1 } } }),
  provenance: inRule({ when: { provenance: { x: 1 } } }),
  size: inRule({ when: { size: { x: 1 } } }),
};

describe('docs/policy.md', () => {
  const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => text);

  it.each(examples.map((text, index) => [index + 1, text] as const))('has a right example %i', (_index, text) => {
    const { document, problems } = checkDocument(parseYaml(text, 'example').value, 'example');
    expect(problems).toBeUndefined();
    expect(createPolicy({ document: document ?? { version: 1 }, compileExpression }).document.rules).not.toEqual([]);
  });

  it('has an expression that holds back what it should', () => {
    const text = examples.find((example) => example.includes('cel:')) ?? '';
    const { document = { version: 1 } } = checkDocument(parseYaml(text, 'example').value, 'example');
    const policy = createPolicy({ document, compileExpression });
    const now = Date.UTC(2026, 0, 1);
    const actionOn = (newDependencies?: readonly string[]) =>
      policy.evaluate({
        stage: 'request',
        repository: { name: 'npm', kind: 'proxy' },
        coordinates: { ecosystem: 'npm', name: 'a', version: '1.0.0' },
        facts: { publishedAt: now - 1000, newDependencies },
        now,
      }).action;
    expect(actionOn(['a', 'b', 'c', 'd', 'e', 'f'])).toBe('hold');
    expect(actionOn(['a'])).toBe('allow');
    expect(actionOn()).toBe('allow');
  });

  it('has examples', () => {
    expect(examples.length).toBeGreaterThan(4);
  });

  it.each(Object.entries(places))('names every key of %s', (_place, document) => {
    const keys = keysAt(document);
    expect(keys.length).toBeGreaterThan(1);
    for (const key of keys) expect(page, key).toMatch(new RegExp(`[\`{ ]${key}[\`:]`));
  });

  it('lists the rules of the presets with their actions', () => {
    const columns = { balanced: 3, strict: 4, airgap: 5 } as const;
    const ids = new Set<string>();
    for (const [preset, column] of Object.entries(columns)) {
      for (const { id, action } of PRESETS[preset as keyof typeof columns].rules ?? []) {
        ids.add(id);
        const actions = rowsOf(id).map((row) => row[column]);
        expect(actions, `${id} of ${preset}`).toContain(action);
      }
    }
    for (const id of ids) {
      const row = rowsOf(id).find((cells) => cells.length === 7) ?? [];
      for (const [preset, column] of Object.entries(columns)) {
        const has = PRESETS[preset as keyof typeof columns].rules?.some((rule) => rule.id === id) === true;
        expect(row[column] !== '', `${id} of ${preset}`).toBe(has);
      }
    }
    const withoutModes = { ...PRESETS.observe, mode: undefined, defaults: undefined };
    expect(withoutModes).toEqual({ ...PRESETS.balanced, mode: undefined, defaults: undefined });
  });

  it('lists the defaults of the presets', () => {
    for (const [index, preset] of PRESET_NAMES.entries()) {
      const { onScanFailure, unknownDate, firstFetch = {} } = PRESETS[preset].defaults ?? {};
      const cellsOf = (key: string) =>
        rowsOf(key)
          .filter((row) => row.length === 7)
          .map((row) => row[index + 2]);
      expect(cellsOf('onScanFailure')).toEqual([onScanFailure]);
      expect(cellsOf('unknownDate')).toEqual([unknownDate]);
      const { action, deadline, onTimeout } = firstFetch;
      expect(cellsOf('firstFetch')).toEqual([action === 'allow' ? action : `${action} ${deadline}, then ${onTimeout}`]);
    }
  });
});
