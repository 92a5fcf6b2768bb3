import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createPlugin, TEMPLATES } from '../src/create-plugin.js';

const templates = join(import.meta.dirname, '../../templates');

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'create-plugin-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

describe('createPlugin', () => {
  it.each(TEMPLATES)('fills the name into every file of the template %s', async (template) => {
    const folder = join(scratch(), 'new');
    const files = await createPlugin({ folder, name: 'entrepot-plugin-my-tools', template, templates });
    expect(files).toEqual(expect.arrayContaining(['.gitignore', 'README.md', 'package.json', 'src/index.ts']));
    for (const file of files) expect(readFileSync(join(folder, file), 'utf8') + file, file).not.toMatch(/acme(?!-)/i);
    const { name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name: string };
    expect(name).toBe('entrepot-plugin-my-tools');
    const index = readFileSync(join(folder, 'src/index.ts'), 'utf8');
    expect(index).toContain("id: 'my-tools'");
    expect(index).toContain('myToolsOptions');
  });

  it('names a plugin that has no prefix by its whole name', async () => {
    const folder = join(scratch(), 'new');
    await createPlugin({ folder, name: 'hammer', template: 'protocol', templates });
    expect(readFileSync(join(folder, 'src/index.ts'), 'utf8')).toContain("id: 'hammer'");
  });

  it.each(['My-Plugin', 'entrepot-plugin-', '1password', 'a--b', 'a/b', ''])('refuses the name "%s"', async (name) => {
    const folder = join(scratch(), 'new');
    await expect(createPlugin({ folder, name, template: 'protocol', templates })).rejects.toThrow(
      'expected lower-case',
    );
    expect(existsSync(folder)).toBe(false);
  });

  it('leaves a folder that is not empty as it is', async () => {
    const folder = scratch();
    const options = { folder, name: 'hammer', template: 'protocol', templates } as const;
    const files = await createPlugin(options);
    await expect(createPlugin({ ...options, template: 'scanner' })).rejects.toThrow('is not empty');
    expect(existsSync(join(folder, 'src/database.ts'))).toBe(false);
    expect(files.length).toBeGreaterThan(5);
  });
});
