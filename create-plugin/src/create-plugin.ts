import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The templates, by what they make. */
export const TEMPLATES = ['protocol', 'hosted', 'scanner', 'store'] as const;

/** One of `TEMPLATES`. */
export type Template = (typeof TEMPLATES)[number];

/** A plugin to make. */
export interface CreateOptions {
  /** Made where it is missing. Must be empty. */
  readonly folder: string;
  /** The name of the package. */
  readonly name: string;
  readonly template: Template;
  /** The folder with the templates. Absent: those of this package. */
  readonly templates?: string | undefined;
}

const PACKED = fileURLToPath(new URL('../templates', import.meta.url));
/** npm packs no file of the name `.gitignore`, and a `package.json` within a package is one of its own to some tools. */
const RENAMED: Readonly<Record<string, string>> = { _gitignore: '.gitignore', '_package.json': 'package.json' };

/** Whether there is a template of this name. */
export function isTemplate(name: string): name is Template {
  return (TEMPLATES as readonly string[]).includes(name);
}

/**
 * Copies a template with the name filled in.
 * @returns the files, relative to the folder
 * @throws Error for a name that npm or Entrepot would refuse, and for a folder that is not empty
 */
export async function createPlugin({ folder, name, template, templates = PACKED }: CreateOptions): Promise<string[]> {
  const fill = filler(name);
  await mkdir(folder, { recursive: true });
  if ((await readdir(folder)).length > 0) throw new Error(`${folder} is not empty`);
  const source = join(templates, `${template}-plugin`);
  const made: string[] = [];
  for (const entry of await readdir(source, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name).slice(source.length + 1);
    if (!entry.isFile() || /(?:^|[\\/])(?:node_modules|dist)[\\/]/.test(path)) continue;
    const target = join(dirname(path), RENAMED[entry.name] ?? fill(entry.name));
    await mkdir(join(folder, dirname(target)), { recursive: true });
    await writeFile(join(folder, target), fill(await readFile(join(source, path), 'utf8')));
    made.push(target);
  }
  return made.sort();
}

/** Puts a name where templates say "Acme". */
function filler(name: string): (text: string) => string {
  const id = name.replace(/^(?:entrepot-)?(?:plugin-|scanner-|storage-)?/, '');
  if (!/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/.test(id))
    throw new Error(
      `the name ${JSON.stringify(name)}: expected lower-case letters, digits and "-", such as entrepot-plugin-acme`,
    );
  const pascal = id.replaceAll(/(?:^|-)([a-z0-9])/g, (_, first: string) => first.toUpperCase());
  const camel = pascal[0]?.toLowerCase() + pascal.slice(1);
  return (text) =>
    text
      .replaceAll(/entrepot-(?:plugin|scanner|storage)-acme/g, name)
      .replaceAll('Acme', pascal)
      .replaceAll(/acme(?=[A-Z])/g, camel)
      .replaceAll('acme', id);
}
