import { createHash } from 'node:crypto';
import {
  requireMethod,
  type Clock,
  type Logger,
  type RepositoryFacts,
  type RequestHead,
  type Resource,
} from '@entrepot/core';
import {
  coordinatesOf,
  encodedPath,
  pomPath,
  readPath,
  type MavenFile,
  type MavenMetadata,
  type MavenPath,
  type SumName,
} from './layout.js';
import type { MavenOptions } from './options.js';
import { Owners } from './owners.js';
import { Routing } from './routing.js';

/** Data of a resource for its hooks; each has those that its class needs. */
export interface MavenAttributes {
  readonly subject: MavenFile | MavenMetadata;
  /** The algorithm of a sidecar. */
  readonly sum?: SumName | undefined;
  /** Whether a sum is read to compare a file with it alone. */
  readonly isCompared?: boolean | undefined;
}

/** Reads the data of a resource. */
export function attributesOf({ attributes }: Resource): MavenAttributes {
  return attributes as unknown as MavenAttributes;
}

/** Endings of files that sign others. */
const SIGNATURE = /\.(?:asc|sigstore|sigstore\.json)$/;

/** A proxy of Maven repositories. */
export class MavenProxy {
  readonly options: MavenOptions;
  readonly logger: Logger;
  readonly routing: Routing;
  readonly owners: Owners;

  constructor(
    options: MavenOptions,
    repository: RepositoryFacts,
    { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.options = options;
    this.logger = logger;
    this.owners = new Owners(clock);
    this.routing = new Routing(options.routing, repository);
  }

  /** Names a file, metadata, or a sum of one of them. */
  route(head: RequestHead): Resource | undefined {
    const path = head.trailingSlash ? undefined : readPath(head.segments);
    if (path === undefined) return undefined;
    requireMethod(head, ['GET'], 'This repository is a proxy: it takes no uploads');
    const { subject, sum } = path;
    const file = this.#file(path);
    if (sum === undefined) return file;
    if (this.options.verifyChecksums === 'off') return { ...this.checksum(path), coordinates: file.coordinates };
    if (subject.kind === 'metadata') return { ...file, variant: sum, attributes: { subject, sum } };
    const name = this.isChanging(file) ? 'changing-sidecar' : 'sidecar';
    return { ...file, class: name, key: `${subject.path}.${sum}`, attributes: { subject, sum } };
  }

  #file(path: MavenPath): Resource {
    const { subject } = path;
    const place = this.#place(path);
    if (subject.kind === 'metadata') {
      const { group, artifact, version } = subject;
      const name = version === undefined ? 'metadata' : 'snapshot-metadata';
      return { class: name, ...place, coordinates: coordinatesOf({ group, artifact }) };
    }
    const coordinates = coordinatesOf(subject);
    if (subject.kind === 'snapshot') return { class: 'snapshot', ...place, coordinates };
    if (subject.kind === 'other') return { class: 'file', ...place, coordinates };
    const name = SIGNATURE.test(subject.rest) ? 'signature' : subject.kind;
    return { class: name, ...place, coordinates };
  }

  #place(path: MavenPath): Pick<Resource, 'key' | 'path' | 'among' | 'attributes'> {
    const { subject } = path;
    const among = this.routing.among(path);
    return { key: subject.path, path: encodedPath(subject.path), among, attributes: { subject } };
  }

  /** Whether the bytes of a file, or of the one that a sum is of, may change. */
  isChanging(resource: Resource): boolean {
    const { kind } = attributesOf(resource).subject;
    return kind !== 'release' && kind !== 'timestamped';
  }

  /** The file that a sidecar is of. */
  subject(resource: Resource): Resource {
    return this.#file({ subject: attributesOf(resource).subject });
  }

  /** The sum that an upstream has of a file, and no facts: what says these may be the file itself. */
  comparedSum(resource: Resource): Resource {
    const sum = this.checksum({ subject: attributesOf(resource).subject, sum: 'sha1' });
    return { ...sum, key: `compared/${sum.key}`, attributes: { ...sum.attributes, isCompared: true } };
  }

  /** The sum that an upstream has of a file. It has no name for policy, which judges the file. */
  checksum(path: MavenPath): Resource {
    const { subject, sum = 'sha1' } = path;
    const place = this.#place(path);
    return {
      class: 'checksum',
      ...place,
      // Clients get another one, which is made here.
      key: `checksum/${subject.path}.${sum}`,
      path: `${place.path}.${sum}`,
      attributes: { subject, sum },
    };
  }

  /** The POM of a file, as policy reads it. */
  project({ subject }: MavenAttributes): Resource | undefined {
    if (subject.kind === 'metadata' || coordinatesOf(subject) === undefined) return undefined;
    return this.#pom('project', pomPath(subject));
  }

  /** The POM of a parent, as policy reads it. */
  parent(path: string): Resource | undefined {
    return this.#pom('parent', path);
  }

  #pom(name: 'project' | 'parent', path: string): Resource | undefined {
    const found = readPath(path.split('/'));
    // It is not the entry that clients get.
    return found && { class: name, ...this.#place(found), key: `${name}/${found.subject.path}` };
  }

  /** The documents that say what a file is. */
  descriptions(resource: Resource): Resource[] {
    const promise = this.promise(resource);
    return promise === undefined ? this.projects(resource) : [promise, ...this.projects(resource)];
  }

  /** The document that says what policy wants to know of a file. */
  projects(resource: Resource): Resource[] {
    const project = this.project(attributesOf(resource));
    return project === undefined ? [] : [project];
  }

  /**
   * The sum that the bytes of a file have to have. `undefined`: none has. What an upstream says of a file that changes is not kept: that is
   * compared where it is fetched.
   */
  promise(resource: Resource): Resource | undefined {
    const isPromised = this.options.verifyChecksums === 'verify' && !this.isChanging(resource);
    return isPromised ? this.checksum({ subject: attributesOf(resource).subject, sum: 'sha1' }) : undefined;
  }

  /** The upstreams whose metadata lists the version of a file. `undefined`: all that are asked for its group. */
  holders(resource: Resource): readonly string[] | undefined {
    const { group, artifact, version } = attributesOf(resource).subject;
    const name = coordinatesOf({ group, artifact })?.name;
    const asked = resource.among ?? this.routing.all;
    if (name === undefined || version === undefined || asked.length < 2) return undefined;
    return this.owners.of(name, version, asked);
  }

  /** Whether metadata is merged of what several upstreams have. */
  isMerged({ among }: Resource): boolean {
    return (among ?? this.routing.all).length > 1;
  }

  /** Metadata as each upstream has it. */
  sources(resource: Resource): readonly Resource[] {
    return (resource.among ?? this.routing.all).map((url) => {
      const place = createHash('sha256').update(url).digest('hex').slice(0, 12);
      const { path, coordinates, attributes } = resource;
      return { class: 'source', key: `source/${place}/${resource.key}`, path, coordinates, attributes, among: [url] };
    });
  }
}
