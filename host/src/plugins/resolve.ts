import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { moduleResolve } from 'import-meta-resolve';
import { oneLine, PluginFault } from './problem.js';

/** The parts of a `package.json` that loading looks at. */
export interface PluginManifest {
  readonly name?: string;
  readonly version?: string;
  readonly main?: string;
  readonly exports?: unknown;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** A plugin that was found on disk and not looked into yet. */
export interface PluginLocation {
  /** The argument of `import()`: a file URL, or the name of a package that is found from the host itself. */
  readonly importable: string;
  /** The package's folder, or the file for a plugin that is one. Symbolic links are followed. */
  readonly location: string;
  /** Absent for a file that belongs to no package. */
  readonly manifest: PluginManifest | undefined;
  /** Whether the configuration names a file or folder instead of a package. */
  readonly byPath: boolean;
}

const HOST_FOLDER = dirname(fileURLToPath(import.meta.url));
const CONDITIONS = new Set(['node', 'import']);
/** A full package name, as npm allows for new packages. */
const PACKAGE_NAME = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/;

/**
 * Finds a plugin by its full package name, path or file URL: from `folder` (where the configuration file is) first, then
 * from the distribution and from the host itself. Nothing is evaluated.
 * @param distribution the folder of the distribution that runs, if there is one
 * @throws PluginFault when there is none, or its package has no entry.
 */
export function resolvePlugin(specifier: string, folder: string, distribution?: string): PluginLocation {
  if (isPath(specifier)) return resolvePath(specifier, folder);
  if (!PACKAGE_NAME.test(specifier)) {
    throw new PluginFault({
      found: 'neither of them',
      wanted: 'a full package name, a path that begins with ./, ../ or /, or a file URL',
    });
  }
  const places = [folder, ...(distribution === undefined ? [] : [distribution]), HOST_FOLDER];
  const found = places.flatMap((place) => {
    const location = findPackage(specifier, place);
    return location === undefined ? [] : [{ place, location }];
  });
  const [first] = found;
  if (first === undefined) {
    throw new PluginFault({
      found: `no such package from ${folder} or from Entrepot itself`,
      wanted: `an installed package (npm install ${specifier})`,
    });
  }
  const { place, location } = first;
  const manifest = readManifest(location);
  const isFromHost = found.some((one) => one.place === HOST_FOLDER && one.location === location);
  const importable = isFromHost ? specifier : entryOf(specifier, join(place, 'noop.js'));
  return { importable, location, manifest, byPath: false };
}

function resolvePath(specifier: string, folder: string): PluginLocation {
  const path = specifier.startsWith('file:') ? fileURLToPath(specifier) : resolve(folder, specifier);
  if (!existsSync(path))
    throw new PluginFault({ found: `nothing at ${path}`, wanted: 'a file or the folder of a package' });
  const location = realpathSync(path);
  if (!statSync(location).isDirectory()) {
    const packageFolder = findUpwards(dirname(location), (parent) => existsSync(join(parent, 'package.json')));
    const manifest = packageFolder === undefined ? undefined : readManifest(packageFolder);
    return { importable: pathToFileURL(location).href, location, manifest, byPath: true };
  }
  if (!existsSync(join(location, 'package.json'))) {
    throw new PluginFault({
      found: `the folder ${location} without a package.json`,
      wanted: 'a file or the folder of a package',
    });
  }
  const manifest = readManifest(location);
  // A package with `exports` is entered by its own name from within; one without by `main`.
  const entry =
    manifest.exports !== undefined && manifest.name !== undefined ? manifest.name : `./${manifest.main ?? 'index.js'}`;
  return { importable: entryOf(entry, join(location, 'noop.js')), location, manifest, byPath: true };
}

function entryOf(specifier: string, from: string): string {
  try {
    return moduleResolve(specifier, pathToFileURL(from), CONDITIONS).href;
  } catch (error) {
    throw new PluginFault({ found: oneLine(error), wanted: 'a package whose entry exists (is it built?)' }, error);
  }
}

function findPackage(name: string, folder: string): string | undefined {
  const found = findUpwards(folder, (parent) => existsSync(join(parent, 'node_modules', name, 'package.json')));
  return found === undefined ? undefined : realpathSync(join(found, 'node_modules', name));
}

function findUpwards(folder: string, fits: (folder: string) => boolean): string | undefined {
  for (let parent = folder; ; parent = dirname(parent)) {
    if (fits(parent)) return parent;
    if (dirname(parent) === parent) return undefined;
  }
}

function readManifest(folder: string): PluginManifest {
  const file = join(folder, 'package.json');
  try {
    const manifest: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof manifest === 'object' && manifest !== null) return manifest;
  } catch (error) {
    throw new PluginFault({ found: `${file}: ${oneLine(error)}`, wanted: 'a package.json that can be read' }, error);
  }
  throw new PluginFault({ found: `${file} without an object`, wanted: 'a package.json that can be read' });
}

function isPath(specifier: string): boolean {
  return (
    specifier.startsWith('./') || specifier.startsWith('../') || specifier.startsWith('file:') || isAbsolute(specifier)
  );
}
