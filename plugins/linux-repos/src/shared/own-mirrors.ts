import type { RenderRequest, Resource } from '@entrepot/core';
import type { Generation, Generations } from './generations.js';
import { generationsKey } from './resources.js';
import { printTime } from './times.js';

/** A generation, as a list of mirrors tells of it. */
interface PublishedGeneration extends Pick<Generation, 'at' | 'date' | 'size'> {
  /** Of its main document. */
  readonly sha256: string;
}

/** A root, as a list of mirrors tells of it. */
export interface Published {
  /** Its path below the repository, with the time of the past where one is asked for. */
  readonly place: string;
  /** The one that the client gets. */
  readonly generation: PublishedGeneration;
  /** Others that clients may still get, newest first. */
  readonly earlier: readonly PublishedGeneration[];
}

/** Lists of mirrors that name this server alone, for clients that want one. */
export interface OwnMirrors {
  /** Their names below a root. */
  readonly names: readonly string[];
  mediaTypeOf(name: string): string;
  /** Writes one. @param url of the repository, as the client reaches it */
  print(name: string, url: string, published: Published): string;
}

/** A list of mirrors of a root as it was published. @param id of the generation that the client gets */
export function ownMirrors(root: string, name: string, id: string, asOf?: number): Resource {
  const variant = `${name} ${id}${asOf === undefined ? '' : ` ${asOf}`}`;
  return { class: 'ownMirrors', key: generationsKey(root), variant, attributes: { root, name, id, asOf } };
}

/** Writes a list of mirrors. @param mainOf gives the SHA-256 of the main document of a generation */
export function printOwnMirrors(
  { list }: Generations,
  { resource, baseUrl }: Pick<RenderRequest, 'resource' | 'baseUrl'>,
  mirrors: OwnMirrors,
  mainOf: (generation: Generation) => string,
): string {
  const { root, name, id, asOf } = resource.attributes as { root: string; name: string; id: string; asOf?: number };
  const at = list.findIndex((one) => one.id === id);
  const told = list.slice(Math.max(0, at)).map((one): PublishedGeneration => ({ ...one, sha256: mainOf(one) }));
  const [generation, ...earlier] = told;
  const folder = asOf === undefined ? '' : `snapshots/${printTime(asOf)}`;
  return mirrors.print(name, baseUrl, {
    place: [folder, root].filter((part) => part !== '').join('/'),
    generation: generation as PublishedGeneration,
    earlier,
  });
}
