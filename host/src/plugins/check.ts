import { isCompatible, API_VERSION, OLDEST_API_VERSION, type Scanner, type StandardSchema } from '@entrepot/core';
import { unknownMembers } from '@entrepot/core/engine';
import { satisfies, validRange } from 'semver';
import { asMapping, isMapping as isRecord, type Mapping } from '../config/mapping.js';
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

/**
 * Levels two and three of the handshake: the API version that `define…Plugin` stamped, and the shape. Of a plugin for
 * another API version nothing else is looked at.
 */
export function checkPlugin(plugin: unknown): Mismatch[] {
  if (!isRecord(plugin))
    return unless(false, printed(plugin), 'a default export made by defineProtocolPlugin or defineScannerPlugin');
  const { apiVersion, kind } = plugin;
  if (typeof apiVersion !== 'number' || !isCompatible(apiVersion))
    return unless(false, `apiVersion ${printed(apiVersion)}`, `apiVersion ${acceptedVersions()}`);
  if (kind === 'protocol') return checkDeclared(plugin);
  if (kind === 'scanner')
    return [
      ...checkIdentity(plugin),
      ...checkInject(plugin['inject']),
      ...checkFunction(plugin, 'create', 'required', 'plugin'),
      ...checkOptions(plugin['options']),
    ];
  const wanted =
    kind === 'blob-store'
      ? 'a protocol or a scanner: this host has its own stores of blobs'
      : 'kind "protocol" or "scanner"';
  return unless(false, `kind ${printed(kind)}`, wanted);
}

/** Checks the sides and classes of a format, and that it has no member that nothing reads. */
function checkDeclared(plugin: Mapping): Mismatch[] {
  const { names = {}, http = {}, clients = {}, proxy, hosted, inject, options } = plugin;
  if (proxy === undefined && hosted === undefined)
    return unless(false, 'neither proxy nor hosted', 'a side of the format: proxy, hosted or both');
  return [
    ...unknownMembers(plugin).map((place) => ({
      found: `a member ${place}`,
      wanted: 'only members that this core reads (is it misspelt?)',
    })),
    ...checkIdentity(plugin),
    ...Object.entries({ names, http, clients }).flatMap(([name, group]) =>
      unless(isRecord(group), `${name} ${printed(group)}`, 'an object or nothing'),
    ),
    ...checkHttp(asMapping(http)),
    ...checkInject(inject),
    ...['discoverUpstreams', 'setup'].flatMap((hook) => checkFunction(asMapping(clients), hook, 'optional', 'clients')),
    ...Object.entries({ proxy, hosted }).flatMap(([name, side]) => (side === undefined ? [] : checkSide(name, side))),
    ...checkOptions(options),
  ];
}

const CLASS_KINDS: Readonly<Record<string, readonly unknown[]>> = {
  proxy: ['artifact', 'document', 'passthrough'],
  hosted: ['artifact', 'document', 'listing', 'change', 'session'],
};

function checkSide(name: string, side: unknown): Mismatch[] {
  if (!isRecord(side)) return unless(false, `${name} ${printed(side)}`, 'an object with classes and create');
  const { classes } = side;
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
  ];
}

/** Whether what a plugin's `create` made is a scanner. */
export function checkScanner(scanner: unknown): Mismatch[] {
  if (!isRecord(scanner)) return unless(false, printed(scanner), 'create to make an object');
  const { subjects, needs } = scanner;
  const { ecosystems } = asMapping(subjects);
  const areTexts = Array.isArray(ecosystems) && ecosystems.every((one) => typeof one === 'string');
  return [
    ...unless(areTexts, `subjects ${printed(subjects)}`, 'subjects with a list of ecosystems'),
    ...unless(
      needs === 'coordinates' || needs === 'content',
      `needs ${printed(needs)}`,
      'needs "coordinates" or "content"',
    ),
    ...['scan', 'revision', 'check'].flatMap((hook) => checkFunction(scanner, hook, 'required', 'scanner')),
    ...SCANNER_HOOKS.flatMap((hook) => checkFunction(scanner, hook, 'optional', 'scanner')),
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

function checkIdentity({ id }: Mapping): Mismatch[] {
  const wanted = 'an id of lower-case letters, digits and -, beginning with a letter';
  return unless(typeof id === 'string' && ID.test(id), `id ${printed(id)}`, wanted);
}

function checkHttp(http: Mapping): Mismatch[] {
  const { sharedMounts = [], mountAlone = '/', dotSegments, otherBytes } = http;
  const isMount = (one: unknown): boolean => typeof one === 'string' && MOUNT.test(one);
  const areMounts = Array.isArray(sharedMounts) && sharedMounts.every(isMount);
  return [
    ...checkFunction(http, 'select', 'optional', 'http'),
    ...unless(areMounts, `sharedMounts ${printed(sharedMounts)}`, 'mounts such as /v2, or none'),
    ...unless(
      mountAlone === '/' || isMount(mountAlone),
      `mountAlone ${printed(mountAlone)}`,
      'a mount such as /v2, / or none',
    ),
    ...unless(
      [undefined, 'refuse', 'collapse', 'redirect'].includes(dotSegments as undefined),
      `dotSegments ${printed(dotSegments)}`,
      'dotSegments "refuse", "collapse", "redirect" or none',
    ),
    ...unless(
      [undefined, 'refuse', 'escape'].includes(otherBytes as undefined),
      `otherBytes ${printed(otherBytes)}`,
      'otherBytes "refuse", "escape" or none',
    ),
  ];
}

function checkInject(inject: unknown): Mismatch[] {
  if (!isRecord(inject)) return unless(false, `inject ${printed(inject)}`, 'inject: an object of tokens by name');
  const wanted = `a token of a service that plugins may use (${PLUGIN_SERVICES.map(({ id }) => id).join(', ')})`;
  return Object.entries(inject).flatMap(([name, token]) => {
    const { id, symbol } = asMapping(token);
    const found = typeof id === 'string' ? `the token ${id}` : printed(token);
    return unless(
      PLUGIN_SERVICES.some((service) => service.symbol === symbol),
      `inject.${name}: ${found}`,
      wanted,
    );
  });
}

function checkOptions(schema: unknown): Mismatch[] {
  // Some libraries' schemas are functions, so only the marker counts.
  const standard = (schema as StandardSchema<unknown> | undefined | null)?.['~standard'];
  return unless(
    standard?.version === 1 && typeof standard.validate === 'function',
    `options ${printed(schema)}`,
    'options: a schema of Standard Schema version 1',
  );
}

function checkFunction(owner: Mapping, name: string, need: 'required' | 'optional', what: string): Mismatch[] {
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
