import { isCompatible, API_VERSION, OLDEST_API_VERSION, type Scanner } from '@entrepot/core';
import { unknownMembers, type EnginePlugin } from '@entrepot/core/engine';
import { satisfies, validRange } from 'semver';
import type { Mismatch } from './problem.js';
import type { PluginLocation } from './resolve.js';
import { PLUGIN_SERVICES } from './services.js';

const ID = /^[a-z][a-z0-9-]*$/;
const MOUNT = /^(\/[A-Za-z0-9._~-]+)+$/;
const SCANNER_HOOKS = [
  'answer',
  'scanAll',
  'lookup',
  'update',
  'databaseDate',
  'dispose',
] as const satisfies readonly (keyof Scanner)[];

/** Level one of the handshake: the package says which versions of core it was made for. */
export function checkPeer({ manifest, byPath }: PluginLocation, coreVersion: string): Mismatch[] {
  const range = manifest?.peerDependencies?.['@entrepot/core'];
  if (range === undefined) {
    // A file of one's own beside the configuration need not be a package.
    if (byPath) return [];
    return [{ found: 'none', wanted: `a peerDependency on @entrepot/core in package.json that allows ${coreVersion}` }];
  }
  if (validRange(range) !== null && satisfies(coreVersion, range, { includePrerelease: true })) return [];
  return [
    {
      found: JSON.stringify(range),
      wanted: `a peerDependency on @entrepot/core in package.json that allows ${coreVersion}`,
    },
  ];
}

/**
 * Levels two and three of the handshake: the API version that `define…Plugin` stamped, and the shape. Of a plugin for
 * another API version nothing else is looked at.
 */
export function checkPlugin(plugin: unknown): Mismatch[] {
  if (!isRecord(plugin)) {
    return [{ found: printed(plugin), wanted: 'a default export made by defineProtocolPlugin or defineScannerPlugin' }];
  }
  if (typeof plugin['apiVersion'] !== 'number' || !isCompatible(plugin['apiVersion'])) {
    return [{ found: `apiVersion ${printed(plugin['apiVersion'])}`, wanted: `apiVersion ${acceptedVersions()}` }];
  }
  switch (plugin['kind']) {
    case 'protocol':
      return checkDeclared(plugin);
    case 'scanner':
      return [
        ...checkIdentity(plugin),
        ...checkInject(plugin['inject']),
        ...checkFunction(plugin, 'create', 'required', 'plugin'),
        ...checkOptions(plugin['options']),
      ];
    case 'blob-store':
      return [{ found: 'kind "blob-store"', wanted: 'a protocol or a scanner: this host has its own stores of blobs' }];
    default:
      return [{ found: `kind ${printed(plugin['kind'])}`, wanted: 'kind "protocol" or "scanner"' }];
  }
}

/** Checks the sides and classes of a format, and that it has no member that nothing reads. */
function checkDeclared(plugin: Readonly<Record<string, unknown>>): Mismatch[] {
  if (plugin['proxy'] === undefined && plugin['hosted'] === undefined)
    return [{ found: 'neither proxy nor hosted', wanted: 'a side of the format: proxy, hosted or both' }];
  const mismatches: Mismatch[] = unknownMembers(plugin).map((place) => ({
    found: `a member ${place}`,
    wanted: 'only members that this core reads (is it misspelt?)',
  }));
  mismatches.push(...checkIdentity(plugin));
  const { names = {}, http = {}, clients = {} } = plugin;
  for (const [name, group] of Object.entries({ names, http, clients })) {
    if (!isRecord(group)) mismatches.push({ found: `${name} ${printed(group)}`, wanted: 'an object or nothing' });
  }
  if (isRecord(http)) mismatches.push(...checkHttp(http));
  mismatches.push(...checkInject(plugin['inject']));
  if (isRecord(clients)) {
    for (const hook of ['discoverUpstreams', 'setup'])
      mismatches.push(...checkFunction(clients, hook, 'optional', 'clients'));
  }
  for (const name of ['proxy', 'hosted']) {
    const side = plugin[name];
    if (side !== undefined) mismatches.push(...checkSide(name, side));
  }
  return [...mismatches, ...checkOptions(plugin['options'])];
}

const CLASS_KINDS: Readonly<Record<string, readonly unknown[]>> = {
  proxy: ['artifact', 'document', 'passthrough'],
  hosted: ['artifact', 'document', 'listing', 'change', 'session'],
};

function checkSide(name: string, side: unknown): Mismatch[] {
  if (!isRecord(side)) return [{ found: `${name} ${printed(side)}`, wanted: 'an object with classes and create' }];
  const { classes } = side;
  if (!isRecord(classes)) return [{ found: `${name}.classes ${printed(classes)}`, wanted: 'classes by name' }];
  const kinds = CLASS_KINDS[name] ?? [];
  const mismatches = checkFunction(side, 'create', 'required', name);
  for (const [key, declared] of Object.entries(classes)) {
    if (isRecord(declared) && kinds.includes(declared['kind']) && typeof declared['about'] === 'string') continue;
    const wanted = `a class of the kind ${kinds.join(', ')} with a line about it`;
    mismatches.push({ found: `${name}.classes.${key} ${printed(declared)}`, wanted });
  }
  return mismatches;
}

/** Whether what a plugin's `create` made is a scanner. */
export function checkScanner(scanner: unknown): Mismatch[] {
  if (!isRecord(scanner)) return [{ found: printed(scanner), wanted: 'create to make an object' }];
  const { subjects, needs } = scanner;
  const mismatches: Mismatch[] = [];
  if (!isRecord(subjects) || !areTexts(subjects['ecosystems'])) {
    mismatches.push({ found: `subjects ${printed(subjects)}`, wanted: 'subjects with a list of ecosystems' });
  }
  if (needs !== 'coordinates' && needs !== 'content') {
    mismatches.push({ found: `needs ${printed(needs)}`, wanted: 'needs "coordinates" or "content"' });
  }
  for (const name of ['scan', 'revision', 'check'])
    mismatches.push(...checkFunction(scanner, name, 'required', 'scanner'));
  for (const hook of SCANNER_HOOKS) mismatches.push(...checkFunction(scanner, hook, 'optional', 'scanner'));
  return mismatches;
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

/** Whether what a plugin's `create` made is a protocol. */
export function checkProtocol(protocol: unknown): Mismatch[] {
  if (!isRecord(protocol)) return [{ found: printed(protocol), wanted: 'create to make an object' }];
  return [
    ...checkFunction(protocol, 'route', 'required', 'protocol'),
    ...checkFunction(protocol, 'dispose', 'optional', 'protocol'),
  ];
}

function checkIdentity(plugin: Readonly<Record<string, unknown>>): Mismatch[] {
  const { id } = plugin;
  if (typeof id === 'string' && ID.test(id)) return [];
  return [{ found: `id ${printed(id)}`, wanted: 'an id of lower-case letters, digits and -, beginning with a letter' }];
}

const DOT_SEGMENTS: ReadonlySet<unknown> = new Set(['refuse', 'collapse', 'redirect']);
const OTHER_BYTES: ReadonlySet<unknown> = new Set(['refuse', 'escape']);

function checkHttp(http: Readonly<Record<string, unknown>>): Mismatch[] {
  const { sharedMounts = [], mountAlone = '/', dotSegments, otherBytes } = http;
  const mismatches = checkFunction(http, 'select', 'optional', 'http');
  const areMounts =
    Array.isArray(sharedMounts) && sharedMounts.every((mount) => typeof mount === 'string' && MOUNT.test(mount));
  if (!areMounts) {
    mismatches.push({ found: `sharedMounts ${printed(sharedMounts)}`, wanted: 'mounts such as /v2, or none' });
  }
  if (mountAlone !== '/' && (typeof mountAlone !== 'string' || !MOUNT.test(mountAlone))) {
    mismatches.push({ found: `mountAlone ${printed(mountAlone)}`, wanted: 'a mount such as /v2, / or none' });
  }
  if (dotSegments !== undefined && !DOT_SEGMENTS.has(dotSegments)) {
    mismatches.push({
      found: `dotSegments ${printed(dotSegments)}`,
      wanted: 'dotSegments "refuse", "collapse", "redirect" or none',
    });
  }
  if (otherBytes !== undefined && !OTHER_BYTES.has(otherBytes)) {
    mismatches.push({
      found: `otherBytes ${printed(otherBytes)}`,
      wanted: 'otherBytes "refuse", "escape" or none',
    });
  }
  return mismatches;
}

function checkInject(inject: unknown): Mismatch[] {
  if (!isRecord(inject)) return [{ found: `inject ${printed(inject)}`, wanted: 'inject: an object of tokens by name' }];
  const offered = PLUGIN_SERVICES.map(({ id }) => id).join(', ');
  return Object.entries(inject)
    .filter(([, token]) => !isRecord(token) || !PLUGIN_SERVICES.some(({ symbol }) => symbol === token['symbol']))
    .map(([name, token]) => ({
      found: `inject.${name}: ${isRecord(token) && typeof token['id'] === 'string' ? `the token ${token['id']}` : printed(token)}`,
      wanted: `a token of a service that plugins may use (${offered})`,
    }));
}

function checkOptions(schema: unknown): Mismatch[] {
  // Some libraries' schemas are functions, so only the marker counts.
  const standard = (schema as EnginePlugin['options'] | undefined | null)?.['~standard'];
  if (standard?.version === 1 && typeof standard.validate === 'function') return [];
  return [{ found: `options ${printed(schema)}`, wanted: 'options: a schema of Standard Schema version 1' }];
}

function checkFunction(
  owner: Readonly<Record<string, unknown>>,
  name: string,
  need: 'required' | 'optional',
  what: string,
): Mismatch[] {
  const member = owner[name];
  if (typeof member === 'function' || (need === 'optional' && member === undefined)) return [];
  return [
    {
      found: `${what}.${name} ${printed(member)}`,
      wanted: need === 'required' ? 'a function' : 'a function or nothing',
    },
  ];
}

function acceptedVersions(): string {
  return OLDEST_API_VERSION < API_VERSION ? `${OLDEST_API_VERSION} to ${API_VERSION}` : String(API_VERSION);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value for a message: short, and never a whole object. */
function printed(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (Array.isArray(value)) return `[${value.slice(0, 5).map(printed).join(', ')}]`;
  if (typeof value === 'object' && value !== null)
    return `an object with ${Object.keys(value).slice(0, 8).join(', ') || 'no keys'}`;
  return typeof value === 'function' ? 'a function' : String(value);
}
