import { GithubApp, type GithubAppSettings } from './github-app.js';
import { parseNetrc, type Credential } from './netrc.js';
import type { Clock, Transport } from '@entrepot/core';

/** The credentials of a route. Secrets. */
export type CredentialSettings =
  | (Credential & { readonly kind: 'basic'; readonly hosts: readonly string[] })
  | { readonly kind: 'netrc'; readonly text: string }
  | { readonly kind: 'github-app'; readonly hosts: readonly string[]; readonly app: GithubAppSettings };

/** A question of git to its credential helper (git-credential, "Input/output format"). */
export interface CredentialQuestion {
  readonly protocol: string;
  /** `host` or `host:port`. */
  readonly host: string;
  /** Of the repository, without a leading slash. */
  readonly path: string;
}

/** The source of a route's credentials. */
export interface CredentialSource {
  /**
   * Finds the credentials for a host. `undefined`: there are none for it.
   * @throws EntrepotError `not-found`, `forbidden` or `upstream-unavailable` when it could not be had
   */
  find(question: CredentialQuestion, signal: AbortSignal): Promise<Credential | undefined>;
  /** The host did not take it. */
  rejected(credential: Credential): void;
  /** Texts that are in no message: what is known of the secrets now. */
  secrets(): readonly string[];
}

/** Creates the source of a route's credentials. Those of one host are told to no other. */
export function createCredentialSource(
  settings: CredentialSettings | undefined,
  services: { readonly transport: Transport; readonly clock: Clock },
): CredentialSource {
  if (settings === undefined) return fixed(new Map());
  if (settings.kind === 'netrc') return fixed(parseNetrc(settings.text));
  if (settings.kind === 'basic') return fixed(new Map(settings.hosts.map((host) => [host, settings])));
  const app = new GithubApp(settings.app, services);
  return {
    async find({ host, path }, signal) {
      const [owner, name] = path.split('/');
      if (!settings.hosts.includes(host) || owner === undefined || name === undefined) return undefined;
      const repository = (name.split(/[?#]/, 1)[0] as string).replace(/\.git$/, '');
      return { username: 'x-access-token', password: await app.token(owner, repository, signal) };
    },
    rejected: ({ password }) => app.forget(password),
    secrets: () => app.secrets(),
  };
}

function fixed(logins: ReadonlyMap<string, Credential>): CredentialSource {
  const secrets = Array.from(logins.values(), ({ password }) => password);
  return { find: async ({ host }) => logins.get(host), rejected: () => {}, secrets: () => secrets };
}
