import { requireMethod } from '@entrepot/core';
import type { LocalReply, RepositoryFacts, RequestHead, Resource, Route } from '@entrepot/core';
import { normalisePythonVersion } from '@entrepot/core/formats';
import { isFileName, isProjectName, isTag, normalise, versionOf } from './names.js';
import { coordinatesOf, derivedKey, fileKey, filePath, provenanceKey, provenancePath } from './keys.js';
import { METADATA_SUFFIX, sidecarSuffix } from './keys.js';
import { createLayouts, type Layout } from './layout.js';
import { chooseForm } from './negotiation.js';
import type { PypiOptions } from './options.js';
import { createOwners, type OwnerOf } from './owners.js';
import { encodeSegment } from './segment.js';
import { createProvenanceUrl, type ProvenanceUrl } from './provenance.js';

const VERSION = /^[A-Za-z0-9](?:[A-Za-z0-9._+!-]{0,126}[A-Za-z0-9])?$/;
const READ_ONLY = 'this repository is a read-only proxy: upload to the index behind it';
const NOT_BELOW =
  'the upstream is configured by the URL of its Simple API, so this is not below it: configure the root of the index';

/** A proxy of a Python package index. */
export class PypiProxy {
  readonly ownerOf: OwnerOf;
  readonly provenanceUrl: ProvenanceUrl;
  /** Whether metadata is read out of wheels where the upstream has none. */
  readonly deriveMetadata: boolean;
  readonly #layoutOf: (scope: string | undefined) => Layout;

  /** @throws EntrepotError `configuration` for owners and upstreams that do not go together */
  constructor(repository: RepositoryFacts, { owners, simplePath, deriveMetadata }: PypiOptions) {
    this.ownerOf = createOwners(repository, owners);
    this.#layoutOf = createLayouts(repository, simplePath);
    this.provenanceUrl = createProvenanceUrl(repository.upstreams, this.#layoutOf);
    this.deriveMetadata = deriveMetadata;
  }

  route(head: RequestHead): Route | undefined {
    requireMethod(head, ['GET'], READ_ONLY);
    const [root] = head.segments;
    if (root === 'simple') return this.#routeSimple(head);
    if (root === 'files') return this.#routeFile(head);
    if (root === 'pypi') return this.#routeProject(head);
    return root === 'integrity' ? this.#routeProvenance(head) : undefined;
  }

  /** Names the page of a project. */
  page(project: string, accept?: string): Resource {
    const scope = this.ownerOf(project);
    return {
      class: 'simple',
      key: `simple/${project}`,
      path: `${this.#layoutOf(scope).simple}${project}/`,
      coordinates: coordinatesOf(project),
      variant: chooseForm(accept),
      scope,
    };
  }

  #routeSimple(head: RequestHead): Route | undefined {
    const [, name, ...rest] = head.segments;
    if (rest.length > 0) return undefined;
    const accept = head.header('accept');
    if (name === undefined) {
      if (!head.trailingSlash) return redirect('simple/', head);
      return { class: 'index', key: 'simple/', path: this.#layoutOf(undefined).simple, variant: chooseForm(accept) };
    }
    if (!isProjectName(name)) return undefined;
    const project = normalise(name);
    if (project === name && head.trailingSlash) return this.page(project, accept);
    // Relative to the request, so that mounts and front proxies need not be known.
    return redirect(head.trailingSlash ? `../${project}/` : `${project}/`, head);
  }

  #routeFile(head: RequestHead): Resource | undefined {
    const [, project = '', tag = '', name = '', ...rest] = head.segments;
    if (rest.length > 0 || head.trailingSlash || !isNormalName(project) || !isTag(tag)) return undefined;
    const suffix = sidecarSuffix(name) ?? '';
    const filename = name.slice(0, name.length - suffix.length);
    const version = isFileName(filename) ? versionOf(filename, project) : undefined;
    // A file that does not bear the name of its project is on no page of ours.
    if (version === undefined) return undefined;
    const file = { tag, filename };
    const isDerived = suffix === METADATA_SUFFIX && this.deriveMetadata;
    return {
      class: suffix === '' ? 'file' : suffix === METADATA_SUFFIX ? 'metadata' : 'signature',
      key: isDerived ? derivedKey(fileKey(project, file)) : fileKey(project, file, suffix),
      // Where another Entrepot has it; the page says where it really is.
      path: filePath(project, file, suffix),
      coordinates: coordinatesOf(project, version),
      scope: this.ownerOf(project),
    };
  }

  #routeProject(head: RequestHead): Route | undefined {
    const [, name = '', ...rest] = head.segments;
    const last = rest.pop();
    if (last !== 'json' || rest.length > 1 || head.trailingSlash || !isProjectName(name)) return undefined;
    const [version] = rest;
    if (version !== undefined && !VERSION.test(version)) return undefined;
    const project = normalise(name);
    const tail = version === undefined ? 'json' : `${encodeSegment(version)}/json`;
    if (project !== name) return redirect(`${version === undefined ? '../' : '../../'}${project}/${tail}`, head);
    const path = `pypi/${project}/${tail}`;
    const coordinates = coordinatesOf(project, version && normalisePythonVersion(version));
    return this.#belowRoot(project, { class: 'project', key: path, path, coordinates });
  }

  #routeProvenance(head: RequestHead): Route | undefined {
    const [, project = '', version = '', filename = '', last, ...rest] = head.segments;
    if (last !== 'provenance' || rest.length > 0 || head.trailingSlash) return undefined;
    if (!isNormalName(project) || !VERSION.test(version) || !isFileName(filename)) return undefined;
    return this.#belowRoot(project, {
      class: 'provenance',
      key: provenanceKey(project, { version, filename }),
      path: provenancePath(project, version, filename),
      // The version of the file, whatever the path says.
      coordinates: coordinatesOf(project, versionOf(filename, project) ?? normalisePythonVersion(version)),
    });
  }

  /** Names what lies beside the Simple API of the upstreams of `project`. */
  #belowRoot(project: string, resource: Resource): Route {
    const scope = this.ownerOf(project);
    if (this.#layoutOf(scope).isRoot) return { ...resource, scope };
    return { status: 404, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body: `${NOT_BELOW}\n` };
  }
}

function isNormalName(name: string): boolean {
  return isProjectName(name) && normalise(name) === name;
}

/** @param target relative to the request, encoded */
function redirect(target: string, { rawQuery }: RequestHead): LocalReply {
  const query = rawQuery !== '' && /^[\x21-\x7e]*$/.test(rawQuery) ? `?${rawQuery}` : '';
  return { status: 301, headers: { Location: target + query, 'Cache-Control': 'max-age=600' } };
}
