import {
  EntrepotError,
  requireMethod,
  type FreshnessRule,
  type RequestHead,
  artifactClass,
  documentClass,
  type Parsed,
  type Resource,
} from '@entrepot/core';
import { describeSums, isSumList, sidecarPath, subjectPath } from './checksum.js';
import type { FilesOptions } from './options.js';
import { coordinatesOf, readPath, type FilePath } from './path.js';
import { dispositionOf, mediaTypeOf } from './reply-headers.js';
import { ruleFor, type Rule } from './rules.js';

/** Headers of an upstream that say something of the bytes or of the file. */
const KEPT_HEADERS = [
  'content-disposition',
  'content-language',
  'repr-digest',
  'x-checksum-md5',
  'x-checksum-sha1',
  'x-checksum-sha256',
];
/** The longest header of a client that is passed on. */
const LONGEST_HEADER = 1024;
/** The longest part of a path that messages repeat. */
const LONGEST_PRINTED = 200;

/** A proxy of a file server. */
export class FilesProxy {
  readonly options: FilesOptions;

  constructor(options: FilesOptions) {
    this.options = options;
  }

  route(head: RequestHead): Resource {
    requireMethod(head, ['GET']);
    const { table, query: handling } = this.options;
    const path = readPath(head.segments, head.trailingSlash);
    const query = handling === 'keep' && head.rawQuery !== '' ? `?${head.rawQuery}` : '';
    const rule = ruleFor(table, path.text);
    if (rule.policy === 'deny') throw refusal(path, rule);
    // One key, one resource: a sum file is that for whoever asks, a client or an artifact.
    if (this.#isChecksumFile(path)) return this.checksum(path, query);
    const named = { ...nameOf(path, query), attributes: { rule: rule.index, headers: this.#passedHeaders(head) } };
    // What a directory index says is never for ever, and it has no sum.
    if (rule.policy !== 'immutable' || path.directory) return { class: 'document', ...named };
    const integrity = rule.checksum?.kind === 'pinned' ? rule.checksum.integrity : undefined;
    return { class: 'artifact', ...named, integrity };
  }

  rule({ attributes }: Resource): Rule {
    return this.options.table.rules[attributes?.['rule'] as number] as Rule;
  }

  /** The sum file at `path`. */
  checksum(path: FilePath, query: string): Resource {
    const { sidecars } = this.options.table;
    const subject = sidecars.map((sidecar) => subjectPath(path, sidecar)).find((found) => found !== undefined);
    const attributes = { rule: ruleFor(this.options.table, path.text).index };
    // The sum of one file goes with that file.
    return { ...nameOf(path, query), class: 'checksum', coordinates: coordinatesOf(subject ?? path), attributes };
  }

  /** The document with the sum of an artifact, where its rule names one. */
  checksumOf(resource: Resource): Resource | undefined {
    const { checksum } = this.rule(resource);
    if (checksum?.kind !== 'sidecar') return undefined;
    const path = readPath((resource.coordinates?.name ?? '').split('/'), false);
    return this.checksum(sidecarPath(path, checksum.sidecar), resource.key.slice(path.key.length));
  }

  /**
   * Request headers by which some upstreams choose their answer. Lists of sums are asked for without them: they are read for
   * other clients, too.
   */
  #passedHeaders(head: RequestHead): Readonly<Record<string, string>> {
    const names = ['accept', 'user-agent', ...this.options.passRequestHeaders];
    const headers = names.map((name) => [name, head.header(name) ?? ''] as const);
    return Object.fromEntries(headers.filter(([, value]) => value.length <= LONGEST_HEADER && /^[ -~]+$/.test(value)));
  }

  #isChecksumFile(path: FilePath): boolean {
    const { table } = this.options;
    return table.sidecars.some((sidecar) => {
      if (isSumList(path, sidecar)) return true;
      const subject = subjectPath(path, sidecar);
      if (subject === undefined) return false;
      const { checksum } = ruleFor(table, subject.text);
      return checksum?.kind === 'sidecar' && checksum.sidecar.at === 'suffix' && checksum.sidecar.name === sidecar.name;
    });
  }
}

const upstream = {
  headers: ({ attributes }: Resource) => attributes?.['headers'] as Readonly<Record<string, string>>,
  redirects: (resource: Resource, self: FilesProxy) => self.rule(resource).redirects ?? 'directories',
} as const;

const reply = {
  mediaType: (resource: Resource, { options }: FilesProxy) => mediaTypeOf(resource, options),
  headers: (resource: Resource, { options }: FilesProxy) => dispositionOf(resource, options),
  keepHeaders: (_resource: Resource, { options }: FilesProxy) => [...KEPT_HEADERS, ...options.passHeaders],
  keepsCoding: true,
} as const;

/** The classes of a proxy. */
export const CLASSES = {
  artifact: artifactClass<FilesProxy>({
    about: 'Files that a rule says are immutable.',
    cache: { respectNoStore: true, except: freshnessOf },
    upstream,
    reply: { ...reply, cacheControl: 'max-age=31536000, immutable' },
    trust: {
      describedBy: (resource, self) => self.checksumOf(resource),
      descriptionOptional(resource, self) {
        const { checksum } = self.rule(resource);
        return checksum?.kind === 'sidecar' && !checksum.required;
      },
    },
  }),
  document: documentClass<FilesProxy>({
    about: 'All other files, and directory indexes of the upstream.',
    cache: { respectNoStore: true, except: freshnessOf },
    upstream,
    reply,
  }),
  checksum: documentClass<FilesProxy>({
    about: 'Sum files that a rule names as a sidecar.',
    // Its own rule may say how long it is fresh; it is kept in any case.
    cache: {
      except(resource, self) {
        const { policy, freshness } = self.rule(resource);
        return policy === 'revalidate' ? freshness : undefined;
      },
    },
    policy: { sidecar: true },
    async parse(content, { key }, _context, { options }): Promise<Parsed> {
      const descriptions = await describeSums(key, options.table.sidecars, content);
      return {
        weight: 200 * descriptions.size,
        describe: (file) => descriptions.get(file),
        descriptions: () => descriptions,
      };
    },
  }),
};

function nameOf(path: FilePath, query: string): Pick<Resource, 'key' | 'path' | 'coordinates'> {
  return { key: path.key + query, path: path.upstreamPath + query, coordinates: coordinatesOf(path) };
}

function freshnessOf(resource: Resource, self: FilesProxy): Partial<FreshnessRule> {
  const { policy, freshness } = self.rule(resource);
  const kept = resource.class === 'artifact' ? 'immutable' : 'revalidate';
  return { ...freshness, policy: policy === 'bypass' ? 'bypass' : kept };
}

function refusal(path: FilePath, rule: Rule): EntrepotError {
  const printed = JSON.stringify(path.text.slice(0, LONGEST_PRINTED));
  return new EntrepotError('forbidden', `the path ${printed} is not served here: ${rule.label}`, {
    code: 'PATH_REFUSED',
  });
}
