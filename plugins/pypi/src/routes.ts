import {
  type ArtifactResource,
  type DocumentResource,
  EntrepotError,
  type LocalResource,
  type RequestHead,
  type Resource,
} from '@entrepot/core';
import { normalisePythonVersion } from '@entrepot/core/formats';
import { isFileName, isTag, versionOf } from './file-name.js';
import {
  derivedMetadataKey,
  encodeSegment,
  fileKey,
  filePath,
  METADATA_SUFFIX,
  pageKey,
  provenanceKey,
  provenancePath,
  SIGNATURE_SUFFIX,
} from './keys.js';
import type { Layout } from './layout.js';
import { chooseForm, PAGE_ACCEPT, PAGE_TYPES } from './negotiation.js';
import type { OwnerOf } from './owners.js';
import { emptyPage } from './page-text.js';
import { isProjectName, normalise } from './project-name.js';

const VERSION = /^[A-Za-z0-9](?:[A-Za-z0-9._+!-]{0,126}[A-Za-z0-9])?$/;
const READ_ONLY = 'this repository is a read-only proxy: upload to the index behind it';
const NOT_BELOW =
  'the upstream is configured by the URL of its Simple API, so this is not below it: configure the root of the index';

/** The names in the plugin's `classes`. */
export const CLASS = {
  index: 'index',
  simple: 'simple',
  project: 'project',
  provenance: 'provenance',
  file: 'file',
  metadata: 'metadata',
  signature: 'signature',
} as const;

/** What routing needs to know of its repository. */
export interface RoutingContext {
  readonly ownerOf: OwnerOf;
  readonly layoutOf: (scope: string | undefined) => Layout;
  /** Whether metadata is read out of wheels where the upstream has none. */
  readonly deriveMetadata: boolean;
}

/** What a request for one repository names. */
export function createRouter({
  ownerOf,
  layoutOf,
  deriveMetadata,
}: RoutingContext): (head: RequestHead) => Resource | undefined {
  function page(project: string, accept: string | undefined): DocumentResource {
    const form = chooseForm(accept);
    const upstreamScope = ownerOf(project);
    return {
      kind: 'document',
      key: pageKey(project),
      class: CLASS.simple,
      coordinates: { ecosystem: 'pypi', name: project },
      upstreamPath: `${layoutOf(upstreamScope).simple}${project}/`,
      upstreamScope,
      upstreamsAre: 'origins',
      accept: PAGE_ACCEPT,
      mediaType: PAGE_TYPES[form],
      variant: form,
      vary: ['Accept'],
      rewritten: true,
      // pip hides the reason of any refusal: what is refused as a whole is a project without files.
      whenRefused: {
        kind: 'local',
        status: 200,
        headers: { 'Content-Type': PAGE_TYPES[form], Vary: 'Accept' },
        body: emptyPage(project, form),
      },
    };
  }

  function projectList(accept: string | undefined): DocumentResource {
    const form = chooseForm(accept);
    return {
      kind: 'document',
      key: 'simple/',
      class: CLASS.index,
      upstreamPath: layoutOf(undefined).simple,
      accept: PAGE_ACCEPT,
      mediaType: PAGE_TYPES[form],
      variant: form,
      vary: ['Accept'],
      rewritten: true,
    };
  }

  function routeSimple(head: RequestHead): Resource | undefined {
    const [, name, ...rest] = head.segments;
    if (rest.length > 0) return undefined;
    if (name === undefined) return head.trailingSlash ? projectList(head.header('accept')) : redirect('simple/', head);
    if (!isProjectName(name)) return undefined;
    const project = normalise(name);
    if (project === name && head.trailingSlash) return page(project, head.header('accept'));
    // Relative to the request, so that mounts and front proxies need not be known.
    return redirect(head.trailingSlash ? `../${project}/` : `${project}/`, head);
  }

  function routeFile(head: RequestHead): ArtifactResource | undefined {
    const [, project = '', tag = '', name = '', ...rest] = head.segments;
    if (rest.length > 0 || head.trailingSlash || !isNormalName(project) || !isTag(tag)) return undefined;
    const suffix = [METADATA_SUFFIX, SIGNATURE_SUFFIX].find((end) => name.endsWith(end)) ?? '';
    const filename = suffix === '' ? name : name.slice(0, -suffix.length);
    const version = isFileName(filename) ? versionOf(filename, project) : undefined;
    // A file that does not bear the name of its project is on no page of ours.
    if (version === undefined) return undefined;
    const file = { tag, filename };
    const artifact: ArtifactResource = {
      kind: 'artifact',
      key: fileKey(project, file, suffix),
      class: suffix === '' ? CLASS.file : suffix === METADATA_SUFFIX ? CLASS.metadata : CLASS.signature,
      coordinates: { ecosystem: 'pypi', name: project, version },
      filename: name,
      // Where another Entrepot has it; the page says where it really is.
      upstreamPath: filePath(project, file, suffix),
      upstreamScope: ownerOf(project),
      upstreamsAre: 'origins',
      mediaType: suffix === '' ? 'application/octet-stream' : 'text/plain; charset=utf-8',
      describedBy: page(project, undefined),
      sidecar: suffix !== '',
      sidecarOf: suffix === '' ? undefined : fileKey(project, file),
    };
    if (suffix !== METADATA_SUFFIX || !deriveMetadata) return artifact;
    return { ...artifact, key: derivedMetadataKey(project, file), produced: true };
  }

  function routeProject(head: RequestHead): Resource | undefined {
    const [, name = '', ...rest] = head.segments;
    const last = rest.pop();
    if (last !== 'json' || rest.length > 1 || head.trailingSlash || !isProjectName(name)) return undefined;
    const [version] = rest;
    if (version !== undefined && !VERSION.test(version)) return undefined;
    const project = normalise(name);
    if (project !== name)
      return redirect(`${version === undefined ? '../' : '../../'}${project}/${tail(version)}`, head);
    const upstreamScope = ownerOf(project);
    if (!layoutOf(upstreamScope).isRoot) return answer(404, NOT_BELOW);
    const ownPath = `${project}/${tail(version)}`;
    return {
      kind: 'document',
      key: `pypi/${ownPath}`,
      class: CLASS.project,
      coordinates: {
        ecosystem: 'pypi',
        name: project,
        ...(version !== undefined && { version: normalisePythonVersion(version) }),
      },
      upstreamPath: `pypi/${ownPath}`,
      upstreamScope,
      upstreamsAre: 'origins',
      accept: 'application/json',
      mediaType: 'application/json',
      rewritten: true,
    };
  }

  function routeProvenance(head: RequestHead): Resource | undefined {
    const [, project = '', version = '', filename = '', last, ...rest] = head.segments;
    if (last !== 'provenance' || rest.length > 0 || head.trailingSlash) return undefined;
    if (!isNormalName(project) || !VERSION.test(version) || !isFileName(filename)) return undefined;
    const upstreamScope = ownerOf(project);
    if (!layoutOf(upstreamScope).isRoot) return answer(404, NOT_BELOW);
    const upstreamPath = provenancePath(project, version, filename);
    return {
      kind: 'document',
      key: provenanceKey(project, { version, filename }),
      describedBy: page(project, undefined),
      sidecar: true,
      class: CLASS.provenance,
      // What the file is, not what the path says of it.
      coordinates: {
        ecosystem: 'pypi',
        name: project,
        version: versionOf(filename, project) ?? normalisePythonVersion(version),
      },
      upstreamPath,
      upstreamScope,
      upstreamsAre: 'origins',
      accept: 'application/vnd.pypi.integrity.v1+json',
      mediaType: 'application/vnd.pypi.integrity.v1+json',
    };
  }

  return (head) => {
    const area = head.segments[0];
    if (head.method !== 'GET' && head.method !== 'HEAD') {
      throw new EntrepotError('method-not-allowed', READ_ONLY, { headers: { Allow: 'GET, HEAD' } });
    }
    if (area === 'simple') return routeSimple(head);
    if (area === 'files') return routeFile(head);
    if (area === 'pypi') return routeProject(head);
    if (area === 'integrity') return routeProvenance(head);
    return undefined;
  };
}

function isNormalName(name: string): boolean {
  return isProjectName(name) && normalise(name) === name;
}

function tail(version: string | undefined): string {
  return version === undefined ? 'json' : `${encodeSegment(version)}/json`;
}

/** @param target relative to the request, encoded */
function redirect(target: string, { rawQuery }: RequestHead): LocalResource {
  const query = rawQuery !== '' && /^[\x21-\x7e]*$/.test(rawQuery) ? `?${rawQuery}` : '';
  return { kind: 'local', status: 301, headers: { Location: target + query, 'Cache-Control': 'max-age=600' } };
}

function answer(status: number, text: string): LocalResource {
  return { kind: 'local', status, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body: `${text}\n` };
}
