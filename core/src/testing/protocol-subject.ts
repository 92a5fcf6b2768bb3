import type { ErrorKind } from '../api/errors.js';
import type { Protocol } from '../engine/request/protocol.js';
import type { LocalReply, Resource as Named } from '../plugin/resource.js';
import type { FreshnessRule } from '../api/freshness.js';
import type { ArtifactResource, DocumentResource, BoundResource } from '../engine/request/resource.js';
import type { Fixture } from './fake-upstream.js';
import { asRequest, printRequest, routeRequest } from './route-table.js';
import { digestOf } from './sample-bytes.js';
import {
  createProtocol,
  freshnessOf,
  openTestRepository,
  type TestRepository,
  type TestRepositoryOptions,
  type TestRequest,
  UPSTREAM_PATH,
} from './test-repository.js';

/** One line of a protocol's table. */
export interface ProtocolCase {
  /** A request, or the path of a GET. */
  readonly request: TestRequest | string;
  /**
   * The result of `route`: the fields that are named must be equal. `undefined`: nothing, a 404. A string: the kind of
   * the error that `route` throws.
   */
  readonly resource: Partial<BoundResource> | Partial<Named & LocalReply> | ErrorKind | undefined;
  /** The status that the client gets, with the recorded upstream. */
  readonly status: number;
}

/** A protocol plugin with what its suite needs: a recorded upstream, and a table of requests. */
export interface ProtocolSubject extends Pick<TestRepositoryOptions, 'plugin' | 'options' | 'services'> {
  /**
   * The upstream's replies by their path below its base URL, encoded as requests spell it. In text bodies `{{upstream}}` stands
   * for the base URL. A reply of status 200 without validators gets an `ETag`.
   */
  readonly fixtures: Readonly<Record<string, Fixture>>;
  /** At least one artifact and one document that is there, if the protocol has such. */
  readonly cases: readonly ProtocolCase[];
  /**
   * The URLs of a document that clients follow: absolute, or relative to the document. Absent: every absolute URL below the
   * repository that stands in it. `none`: the format's documents hold no URLs, and checks of links are skipped.
   */
  readonly links?: ((body: string, mediaType: string) => readonly string[]) | 'none';
  /**
   * Reads the versions that a document lists or points to. Absent: a version is listed where a link leads to its artifact, or where
   * its text stands in a document of its name. Needed where documents have no URLs, or hold the text of a version for another reason.
   */
  readonly mentions?: (body: string, mediaType: string) => readonly string[];
}

/** A resource that is stored. */
export type Stored = ArtifactResource | DocumentResource;

/** A case that names something stored and that the recorded upstream has. */
export interface Served<R extends Stored = Stored> {
  readonly request: TestRequest;
  readonly resource: R;
  /** The request, for messages. */
  readonly label: string;
}

/** For one check: repositories of the subject, closed at its end. */
export interface Fixtures {
  readonly subject: ProtocolSubject;
  /** A protocol that nothing else uses. */
  create(): Promise<Protocol>;
  /** `change` may alter what the upstream serves. */
  open(options?: OpenOptions): Promise<TestRepository>;
  /** The cases of a kind (absent: of both) that the upstream has and that are kept. */
  served(kind?: undefined): Promise<Served[]>;
  served(kind: 'artifact'): Promise<Served<ArtifactResource>[]>;
  served(kind: 'document'): Promise<Served<DocumentResource>[]>;
  /** The path that the upstream is asked for when `request` is served from an empty store. */
  pathOf(request: TestRequest): Promise<string>;
  close(): Promise<void>;
}

/** Settings of one repository that differ. */
export interface OpenOptions extends Partial<TestRepositoryOptions> {
  change?(path: string, fixture: Fixture): Fixture | undefined;
}

/** Everything that a check opens, under one close. */
export async function openFixtures(subject: ProtocolSubject): Promise<Fixtures> {
  const opened: TestRepository[] = [];
  const protocols: Protocol[] = [];
  const { plugin, options, services } = subject;
  const given = { plugin, options, ...(services !== undefined && { services }) };
  const fixtures: Fixtures = {
    subject,
    async create() {
      const protocol = await createProtocol(given);
      protocols.push(protocol);
      return protocol;
    },
    async open({ change, ...more }: OpenOptions = {}) {
      const repository = await openTestRepository({ ...given, ...more });
      opened.push(repository);
      for (const path of Object.keys(subject.fixtures)) {
        const at = pathOf(path);
        const recorded = fixtureAt(subject, at, repository.upstreamUrl) as Fixture;
        const fixture = change === undefined ? recorded : change(at, recorded);
        if (fixture !== undefined) repository.upstream.serve(at, fixture);
      }
      return repository;
    },
    async served(kind?: 'artifact' | 'document') {
      const protocol = await fixtures.create();
      const found: Served[] = [];
      for (const { request: given, status } of subject.cases) {
        const request = asRequest(given);
        if (status !== 200 || (request.method ?? 'GET') !== 'GET') continue;
        const resource = routeRequest(protocol, request, plugin.http);
        if (typeof resource === 'string' || (resource.kind !== 'artifact' && resource.kind !== 'document')) continue;
        if (resource.kind !== (kind ?? resource.kind) || ruleOf(subject, resource).policy === 'bypass') continue;
        found.push({ request, resource, label: printRequest(request) });
      }
      return found as never;
    },
    async pathOf(request) {
      const repository = await fixtures.open();
      await repository.ask(request);
      await repository.close();
      const resource = routeRequest(repository.protocol, request, plugin.http);
      const own = typeof resource === 'string' || !('upstreamPath' in resource) ? '' : pathOf(resource.upstreamPath);
      const paths = repository.upstream.requests.map(({ path }) => path);
      // What verification asked for comes after it, and is not it.
      return paths.includes(own) ? own : (paths.at(-1) ?? '');
    },
    async close() {
      for (const repository of opened) await repository.close();
      for (const protocol of protocols) await protocol.dispose();
    },
  };
  return fixtures;
}

function pathOf(path: string): string {
  return `${UPSTREAM_PATH}/${path.replace(/^\//, '')}`;
}

/** The upstream's reply for `path`, with its base URL filled in and a validator. */
export function fixtureAt({ fixtures }: ProtocolSubject, path: string, upstreamUrl: string): Fixture | undefined {
  const name = Object.keys(fixtures).find((candidate) => pathOf(candidate) === path);
  const fixture = name === undefined ? undefined : fixtures[name];
  if (fixture === undefined) return undefined;
  const body = typeof fixture.body === 'string' ? fixture.body.replaceAll('{{upstream}}', upstreamUrl) : fixture.body;
  const bare = (fixture.status ?? 200) === 200 && fixture.etag === undefined && fixture.lastModified === undefined;
  // The host of the upstream differs from run to run, so the tag is made from the recorded body.
  const etag = bare ? { etag: `"${digestOf(fixture.body ?? '').slice(7, 23)}"` } : {};
  return { ...fixture, ...(body !== undefined && { body }), ...etag };
}

/** Lets a kept document go stale, but not too old. `false` when it never does. */
export function outlive(repository: TestRepository, subject: ProtocolSubject, resource: Stored): boolean {
  const { policy, freshFor, staleWhileRevalidate } = ruleOf(subject, resource);
  if (policy !== 'revalidate' || freshFor + staleWhileRevalidate === Infinity) return false;
  repository.clock.advance(freshFor + staleWhileRevalidate + 1);
  return true;
}

/** The freshness of a resource without any configuration. */
export function ruleOf({ plugin }: ProtocolSubject, { class: name, freshness }: Stored): FreshnessRule {
  return Object.assign({}, freshnessOf(plugin)[name], freshness);
}
