import { fieldsOf, isRecord, type Fields } from '@entrepot/core/formats';
import {
  isCompatible,
  API_VERSION,
  OLDEST_API_VERSION,
  type BlobStore,
  type Scanner,
  type StandardSchema,
} from '@entrepot/core';
import { unknownMembers } from '@entrepot/core/engine';
import { satisfies, validRange } from 'semver';
import type { Mismatch } from './problem.js';
import type { PluginLocation } from './resolve.js';
import { PLUGIN_SERVICES, STORE_SERVICES } from './services.js';

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

/** Which methods a store has to have. One that is missing here does not compile. */
const STORE_METHODS = {
  stat: 'required',
  open: 'required',
  put: 'required',
  delete: 'required',
  list: 'required',
  check: 'required',
  dispose: 'required',
  setAside: 'optional',
  unfinished: 'optional',
  pathOf: 'optional',
  storeId: 'optional',
  setStoreId: 'optional',
  freeBytes: 'optional',
  signedUrl: 'optional',
} as const satisfies Record<keyof BlobStore, 'required' | 'optional'>;

/** What every plugin is declared by. */
export const DECLARED =
  'a default export made by defineProtocolPlugin, defineScannerPlugin or defineBlobStorePlugin, or a list of formats';

/** A member, whether it fits, and what is wanted. */
type Rule = readonly [name: string, fits: (value: unknown) => boolean, wanted: string];

/** Level one of the handshake: the package says which versions of core it was made for. */
export function checkPeer({ manifest, byPath }: PluginLocation, coreVersion: string): Mismatch[] {
  const range = manifest?.peerDependencies?.['@entrepot/core'];
  // A file of one's own beside the configuration need not be a package.
  if (range === undefined && byPath) return [];
  const fits = range !== undefined && validRange(range) !== null;
  const wanted = `a peerDependency on @entrepot/core in package.json that allows ${coreVersion}`;
  return unless(
    fits && satisfies(coreVersion, range, { includePrerelease: true }),
    range === undefined ? 'none' : JSON.stringify(range),
    wanted,
  );
}

/** The plugins that the default export of a package holds: itself, or the formats of a list. */
export function pluginsOf(exported: unknown): readonly unknown[] {
  return Array.isArray(exported) ? exported : [exported];
}

/** Levels two and three of the handshake for everything that a package exports. A plugin of a list is named by its place in it. */
export function checkExport(exported: unknown): Mismatch[] {
  if (!Array.isArray(exported)) return checkPlugin(exported);
  if (exported.length === 0) return unless(false, 'an empty list of plugins', DECLARED);
  const plugins: readonly unknown[] = exported;
  return plugins.flatMap((plugin, index) => {
    const mismatches = [...checkPlugin(plugin), ...checkListed(plugin, plugins.slice(0, index))];
    return mismatches.map(({ found, wanted }) => ({ found: `in default[${index}]: ${found}`, wanted }));
  });
}

/** Scanners and stores are named by their packages, so that one of them has its package for itself. */
function checkListed(plugin: unknown, earlier: readonly unknown[]): Mismatch[] {
  const { id, kind } = fieldsOf(plugin);
  const isAlone = kind === 'scanner' || kind === 'blob-store';
  const rival = earlier.findIndex((one) => typeof id === 'string' && fieldsOf(one)['id'] === id);
  return [
    ...unless(!isAlone, `kind ${printed(kind)}`, 'kind "protocol": a scanner or a store has a package of its own'),
    ...unless(rival === -1, `id ${printed(id)}, which default[${rival}] has too`, 'an id of its own'),
  ];
}

/**
 * Levels two and three of the handshake: the API version that `define…Plugin` stamped, and the shape. Of a plugin for
 * another API version nothing else is looked at.
 */
export function checkPlugin(plugin: unknown): Mismatch[] {
  if (!isRecord(plugin)) return unless(false, printed(plugin), DECLARED);
  const { apiVersion, kind } = plugin;
  if (typeof apiVersion !== 'number' || !isCompatible(apiVersion))
    return unless(false, `apiVersion ${printed(apiVersion)}`, `apiVersion ${acceptedVersions()}`);
  if (kind === 'protocol') return checkDeclared(plugin);
  if (kind === 'scanner' || kind === 'blob-store')
    return [
      ...checkMembers(plugin, IDENTITY),
      ...checkInject(plugin['inject'], kind === 'scanner' ? PLUGIN_SERVICES : STORE_SERVICES),
      ...checkFunction(plugin, 'create', 'required', 'plugin'),
      ...checkMembers(plugin, OPTIONS),
    ];
  return unless(false, `kind ${printed(kind)}`, 'kind "protocol", "scanner" or "blob-store"');
}

/** Checks the sides and classes of a format, and that it has no member that nothing reads. */
function checkDeclared(plugin: Fields): Mismatch[] {
  const { names = {}, http = {}, clients = {}, proxy, hosted, inject } = plugin;
  if (proxy === undefined && hosted === undefined)
    return unless(false, 'neither proxy nor hosted', 'a side of the format: proxy, hosted or both');
  return [
    ...unknownMembers(plugin).map((place) => ({
      found: `a member ${place}`,
      wanted: 'only members that this core reads (is it misspelt?)',
    })),
    ...checkMembers(plugin, IDENTITY),
    ...Object.entries({ names, http, clients }).flatMap(([name, group]) =>
      unless(isRecord(group), `${name} ${printed(group)}`, 'an object or nothing'),
    ),
    ...checkFunction(fieldsOf(http), 'select', 'optional', 'http'),
    ...checkMembers(fieldsOf(http), HTTP),
    ...checkInject(inject),
    ...['discoverUpstreams', 'setup'].flatMap((hook) => checkFunction(fieldsOf(clients), hook, 'optional', 'clients')),
    ...Object.entries({ proxy, hosted }).flatMap(([name, side]) => (side === undefined ? [] : checkSide(name, side))),
    ...checkMembers(plugin, OPTIONS),
  ];
}

const CLASS_KINDS: Readonly<Record<string, readonly unknown[]>> = {
  proxy: ['artifact', 'document', 'passthrough', 'alias'],
  hosted: ['artifact', 'document', 'listing', 'change', 'session'],
};

function checkSide(name: string, side: unknown): Mismatch[] {
  if (!isRecord(side)) return unless(false, `${name} ${printed(side)}`, 'an object with classes and create');
  const { classes, cleanup, roots } = side;
  if (!isRecord(classes)) return unless(false, `${name}.classes ${printed(classes)}`, 'classes by name');
  const kinds = CLASS_KINDS[name] ?? [];
  const wanted = `a class of the kind ${kinds.join(', ')} with a line about it`;
  const isClass = (one: unknown): boolean =>
    isRecord(one) && kinds.includes(one['kind']) && typeof one['about'] === 'string';
  return [
    ...checkFunction(side, 'create', 'required', name),
    ...Object.entries(classes).flatMap(([key, one]) =>
      unless(isClass(one), `${name}.classes.${key} ${printed(one)}`, wanted),
    ),
    ...(name !== 'hosted' || cleanup === undefined ? [] : checkCleanup(`${name}.cleanup`, cleanup)),
    ...(name !== 'proxy' || roots === undefined ? [] : checkRoots(`${name}.roots`, roots)),
  ];
}

function checkRoots(name: string, roots: unknown): Mismatch[] {
  if (!isRecord(roots)) return unless(false, `${name} ${printed(roots)}`, 'an object with list and refresh');
  return [
    ...['list', 'refresh'].flatMap((hook) => checkFunction(roots, hook, 'required', name)),
    ...checkFunction(roots, 'heldKeys', 'optional', name),
  ];
}

function checkCleanup(name: string, cleanup: unknown): Mismatch[] {
  if (!isRecord(cleanup)) return unless(false, `${name} ${printed(cleanup)}`, 'an object with stored and retire');
  const { versions = {} } = cleanup;
  return [
    ...['stored', 'retire'].flatMap((hook) => checkFunction(cleanup, hook, 'required', name)),
    ...unless(isRecord(versions), `${name}.versions ${printed(versions)}`, 'an object or nothing'),
  ];
}

const SCANNER: readonly Rule[] = [
  ['subjects', (value) => areTexts(fieldsOf(value)['ecosystems']), 'subjects with a list of ecosystems'],
  ['needs', isOneOf('coordinates', 'content'), 'needs "coordinates" or "content"'],
];

/** Whether what a plugin's `create` made is a scanner. */
export function checkScanner(scanner: unknown): Mismatch[] {
  if (!isRecord(scanner)) return unless(false, printed(scanner), 'create to make an object');
  return [
    ...checkMembers(scanner, SCANNER),
    ...['scan', 'revision', 'check'].flatMap((hook) => checkFunction(scanner, hook, 'required', 'scanner')),
    ...SCANNER_HOOKS.flatMap((hook) => checkFunction(scanner, hook, 'optional', 'scanner')),
  ];
}

/** Whether what a plugin's `create` made is a store of blobs. */
export function checkStore(store: unknown): Mismatch[] {
  if (!isRecord(store)) return unless(false, printed(store), 'create to make an object');
  const hasId = [store['storeId'], store['setStoreId']].map((member) => member !== undefined);
  return [
    ...Object.entries(STORE_METHODS).flatMap(([method, need]) => checkFunction(store, method, need, 'store')),
    ...unless(hasId[0] === hasId[1], 'one of storeId and setStoreId', 'both or neither of them'),
  ];
}

/** Whether what a plugin's `create` made is a protocol. */
export function checkProtocol(protocol: unknown): Mismatch[] {
  if (!isRecord(protocol)) return unless(false, printed(protocol), 'create to make an object');
  return [
    ...checkFunction(protocol, 'route', 'required', 'protocol'),
    ...checkFunction(protocol, 'dispose', 'optional', 'protocol'),
  ];
}

const IDENTITY: readonly Rule[] = [
  [
    'id',
    (value) => typeof value === 'string' && ID.test(value),
    'an id of lower-case letters, digits and -, beginning with a letter',
  ],
];

const OPTIONS: readonly Rule[] = [['options', isStandardSchema, 'options: a schema of Standard Schema version 1']];

function isStandardSchema(schema: unknown): boolean {
  // Some libraries' schemas are functions, so only the marker counts.
  const standard = (schema as StandardSchema<unknown> | undefined | null)?.['~standard'];
  return standard?.version === 1 && typeof standard.validate === 'function';
}

const HTTP: readonly Rule[] = [
  ['sharedMounts', (value = []) => Array.isArray(value) && value.every(isMount), 'mounts such as /v2, or none'],
  ['mountAlone', (value = '/') => value === '/' || isMount(value), 'a mount such as /v2, / or none'],
  [
    'dotSegments',
    isOneOf(undefined, 'refuse', 'collapse', 'redirect'),
    'dotSegments "refuse", "collapse", "redirect" or none',
  ],
  ['otherBytes', isOneOf(undefined, 'refuse', 'escape'), 'otherBytes "refuse", "escape" or none'],
];

function isMount(value: unknown): boolean {
  return typeof value === 'string' && MOUNT.test(value);
}

function isOneOf(...values: readonly unknown[]): (value: unknown) => boolean {
  return (value) => values.includes(value);
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function checkInject(inject: unknown, services = PLUGIN_SERVICES): Mismatch[] {
  if (!isRecord(inject)) return unless(false, `inject ${printed(inject)}`, 'inject: an object of tokens by name');
  const wanted = `a token of a service that plugins may use (${services.map(({ id }) => id).join(', ')})`;
  return Object.entries(inject).flatMap(([name, token]) => {
    const { id, symbol } = fieldsOf(token);
    const found = typeof id === 'string' ? `the token ${id}` : printed(token);
    return unless(
      services.some((service) => service.symbol === symbol),
      `inject.${name}: ${found}`,
      wanted,
    );
  });
}

function checkMembers(owner: Fields, rules: readonly Rule[]): Mismatch[] {
  return rules.flatMap(([name, fits, wanted]) => unless(fits(owner[name]), `${name} ${printed(owner[name])}`, wanted));
}

function checkFunction(owner: Fields, name: string, need: 'required' | 'optional', what: string): Mismatch[] {
  const member = owner[name];
  return unless(
    typeof member === 'function' || (need === 'optional' && member === undefined),
    `${what}.${name} ${printed(member)}`,
    need === 'required' ? 'a function' : 'a function or nothing',
  );
}

function unless(fits: boolean, found: string, wanted: string): Mismatch[] {
  return fits ? [] : [{ found, wanted }];
}

function acceptedVersions(): string {
  return OLDEST_API_VERSION < API_VERSION ? `${OLDEST_API_VERSION} to ${API_VERSION}` : String(API_VERSION);
}

/** A value for a message: short, and never a whole object. */
function printed(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (Array.isArray(value)) return `[${value.slice(0, 5).map(printed).join(', ')}]`;
  if (typeof value === 'object' && value !== null)
    return `an object with ${Object.keys(value).slice(0, 8).join(', ') || 'no keys'}`;
  return typeof value === 'function' ? 'a function' : String(value);
}
