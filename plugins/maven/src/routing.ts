import { EntrepotError, withoutTrailingSlashes, type RepositoryFacts } from '@entrepot/core';
import { isSnapshot, type MavenPath } from './layout.js';
import type { RoutingRule } from './options.js';

interface Source {
  readonly url: string;
  /** Whether the next one is asked while it is down. */
  readonly leadsOn: boolean;
  readonly rule: RoutingRule | undefined;
}

/** The upstreams of a repository, and what each is asked for. */
export class Routing {
  readonly #sources: readonly Source[];
  readonly #isPlain: boolean;

  /** @throws EntrepotError `configuration` for a rule of an upstream that there is not */
  constructor(rules: readonly RoutingRule[], { upstreams, name }: RepositoryFacts) {
    const bare = (url: string): string => withoutTrailingSlashes(url);
    this.#sources = upstreams.map(({ url, fallback }) => ({
      url,
      leadsOn: fallback === 'any-error',
      rule: rules.find((rule) => bare(rule.upstream) === bare(url)),
    }));
    this.#isPlain = rules.length === 0;
    const unknown = rules.find((rule) => !this.#sources.some((source) => source.rule === rule));
    if (unknown === undefined) return;
    const expected = upstreams.map(({ url }) => url).join(', ') || 'none';
    throw new EntrepotError(
      'configuration',
      `repository ${name}: routing names ${unknown.upstream}, once each; its upstreams are ${expected}`,
    );
  }

  /** All of them, in order. */
  get all(): readonly string[] {
    return this.#sources.map(({ url }) => url);
  }

  /** The answers up to an upstream that is down, and does not lead on to the next one then. */
  reachable<Answer extends { readonly url: string; readonly list: unknown }>(answers: readonly Answer[]): Answer[] {
    const leadsOn = (url: string): boolean => this.#sources.some((source) => source.url === url && source.leadsOn);
    const end = answers.findIndex(({ url, list }) => list instanceof Error && !leadsOn(url));
    return end === -1 ? [...answers] : answers.slice(0, end);
  }

  /**
   * The upstreams that are asked for a path. A group that a rule names is asked of the upstreams that name it alone: nobody else may
   * answer for it, or learn of it. `undefined`: all.
   */
  among({ subject }: MavenPath): readonly string[] | undefined {
    if (this.#isPlain) return undefined;
    const { group, artifact, version = '' } = subject;
    // The folder of metadata may be a group, too.
    const names = subject.kind === 'metadata' ? [group, join(group, artifact)] : [group];
    const named = this.#sources.filter(({ rule }) => rule?.groups?.some((own) => names.some((one) => isIn(one, own))));
    const open = this.#sources.filter(({ rule }) => rule?.groups === undefined);
    const isOfSnapshot = isSnapshot(version);
    return (named.length > 0 ? named : open)
      .filter(({ rule }) => version === '' || (isOfSnapshot ? rule?.snapshots : rule?.releases) !== false)
      .map(({ url }) => url);
  }
}

/** Whether a group is `own`, or below it: `org.foo` has `org.foo.bar` in it, and not `org.foobar`. */
function isIn(group: string, own: string): boolean {
  return group === own || group.startsWith(`${own}.`);
}

function join(group: string, artifact: string): string {
  return group === '' ? artifact : `${group}.${artifact}`;
}
