import type { Logger, RepositoryFacts, Resource } from '@entrepot/core';
import { ChecksumDatabase, type DatabaseResources } from './checksum-database.js';
import { coordinatesOf, urlPath } from './module-path.js';
import type { NoteVerifier } from './note.js';
import { databaseScope } from './sources.js';
import { tilePath, type Tile } from './tile.js';

/** A checksum database of a repository: the names of its resources, and their checks. */
export class ServedDatabase implements DatabaseResources {
  readonly checks: ChecksumDatabase;
  /** Whether it has upstreams of its own; otherwise module proxies pass its answers on. */
  readonly #hasOwnUpstreams: boolean;

  constructor(verifier: NoteVerifier, { upstreams }: RepositoryFacts, logger: Logger) {
    this.checks = new ChecksumDatabase(verifier, this, logger);
    this.#hasOwnUpstreams = upstreams.some(({ scope }) => scope === databaseScope(verifier.name));
  }

  /** The record of a module version. */
  record(path: string, version: string): Resource {
    const coordinates = coordinatesOf(path, version);
    return { class: 'checksum-record', coordinates, ...this.#named(`lookup/${path}@${version}`) };
  }

  tile(wanted: Tile): Resource {
    return { class: 'checksum-tile', ...this.#named(tilePath(wanted), { tile: wanted }) };
  }

  /** The newest signed tree head. `anyAge`: a cached one does, however old. */
  head(anyAge = false): Resource {
    return { class: 'checksum-head', ...this.#named('latest', { anyAge }) };
  }

  #named(path: string, more: object = {}): Pick<Resource, 'key' | 'path' | 'scope' | 'attributes'> {
    const { name } = this.checks;
    const named = { key: `sumdb/${name}/${path}`, attributes: { ...more, database: name } };
    if (this.#hasOwnUpstreams) return { ...named, path: urlPath(path), scope: databaseScope(name) };
    return { ...named, path: `sumdb/${name}/${urlPath(path)}` };
  }
}
