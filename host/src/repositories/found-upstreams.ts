import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { DiscoveredUpstream, Logger, AnyDeclaredPlugin } from '@entrepot/core';
import { secretFileOf } from '../access/secret-file.js';
import type { Config } from '../config/schema.js';
import { ownAddresses } from './own-addresses.js';

/** Upstreams that the clients on this machine used before they were pointed here, by type of repository. No secrets. */
export type FoundUpstreams = Readonly<Record<string, readonly DiscoveredUpstream[]>>;

const VERSION = 1;

function fileOf(config: Config): string {
  return secretFileOf(config, 'found-upstreams.json');
}

/** Reads the upstreams that were found at earlier starts. A missing or damaged file holds none. */
export function readFoundUpstreams(config: Config): FoundUpstreams {
  try {
    const { version, found } = JSON.parse(readFileSync(fileOf(config), 'utf8')) as { version: number; found: unknown };
    if (version !== VERSION || typeof found !== 'object' || found === null) return {};
    const lists = Object.entries(found).map(([type, list]) => [type, Array.isArray(list) ? list.filter(isFound) : []]);
    return Object.fromEntries(lists) as FoundUpstreams;
  } catch {
    return {};
  }
}

/** Keeps what was found for a start at which the clients are pointed here. */
export function keepFoundUpstreams(config: Config, found: FoundUpstreams, logger: Logger): void {
  const known = readFoundUpstreams(config);
  const all = { ...known, ...found };
  if (JSON.stringify(all) === JSON.stringify(known)) return;
  const file = fileOf(config);
  const made = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(made, `${JSON.stringify({ version: VERSION, found: all }, undefined, 2)}\n`, { mode: 0o600 });
    renameSync(made, file);
  } catch (error) {
    logger.warn({ err: error, file }, 'the upstreams found on this machine could not be stored');
  }
}

/**
 * Finds the upstreams that the clients on this machine are set up with. Clients that are already pointed here count with
 * their upstreams before.
 */
export class Discovery {
  readonly isOwn: (url: string) => boolean;
  readonly found: Record<string, readonly DiscoveredUpstream[]> = {};
  readonly #before: FoundUpstreams;

  constructor(config: Config) {
    this.isOwn = ownAddresses(config);
    this.#before = readFoundUpstreams(config);
  }

  /** @throws what the plugin does */
  async upstreamsOf(plugin: AnyDeclaredPlugin, useClientCredentials: boolean): Promise<readonly DiscoveredUpstream[]> {
    const { isOwn } = this;
    let isPointedHere = false;
    const passOver = (url: string): boolean => {
      const own = isOwn(url);
      isPointedHere ||= own;
      return own;
    };
    const found = (await plugin.clients?.discoverUpstreams?.({ useClientCredentials, isOwn: passOver })) ?? [];
    // A plugin need not know how.
    const others = found.filter(({ url }) => !passOver(url));
    if (!isPointedHere) {
      this.found[plugin.id] = others.map(({ authorization: _secret, ...rest }) => rest);
      return others;
    }
    const before = (this.#before[plugin.id] ?? []).filter(({ url }) => !isOwn(url));
    if (before.length === 0) return others;
    return before.map((one) => ({ ...one, source: `${one.source}, before this machine's clients were pointed here` }));
  }
}

function isFound(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { url, scope, source } = value as Record<string, unknown>;
  const isText = (one: unknown): boolean => typeof one === 'string';
  return isText(url) && URL.canParse(url as string) && isText(source) && (scope === undefined || isText(scope));
}
