import { readFile, writeFile } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { EntrepotError } from '@entrepot/core';
import type { Clock, Logger, ProduceContext, ProducedFile, Resource, Transport } from '@entrepot/core';
import { Limiter, parseJson } from '@entrepot/core/formats';
import { createCredentialSource, type CredentialSettings, type CredentialSource } from './credentials.js';
import { CredentialsSocket } from './credentials-socket.js';
import { runDirect } from './direct-command.js';
import { directError } from './direct-errors.js';
import { failure } from './errors.js';
import { GuardProxy, hasProxy } from './guard-proxy.js';
import type { ModulePatterns } from './module-match.js';

/** Modules that are fetched from their repositories, by the `go` of this machine. */
export interface DirectRoute {
  readonly match: ModulePatterns;
  readonly credentials: CredentialSettings | undefined;
  /** Whether plain http will do, also for credentials. */
  readonly insecure: boolean;
}

/** The output of `go list -m -json` and `go mod download -json`, as far as it is read. */
interface ModuleJson {
  readonly Version?: string;
  readonly Time?: string;
  readonly Versions?: readonly string[];
  readonly Origin?: Readonly<Record<string, unknown>>;
  readonly Error?: string | { readonly Err?: string };
  readonly Info?: string;
  readonly GoMod?: string;
  readonly Zip?: string;
}

/** The part of its context that a run needs. */
type Run = Pick<ProduceContext, 'folder' | 'signal'>;

/** Makes the files of private modules from their repositories (Go Modules Reference, "Direct access"). */
export class DirectModules {
  readonly #logger: Logger;
  readonly #sources: ReadonlyMap<DirectRoute, CredentialSource>;
  readonly #limiter: Limiter;

  /** @param processes runs at a time, over all modules of a repository */
  constructor(
    routes: readonly DirectRoute[],
    services: { readonly logger: Logger; readonly transport: Transport; readonly clock: Clock },
    processes: number,
  ) {
    this.#limiter = new Limiter(processes);
    this.#logger = services.logger;
    this.#sources = new Map(
      routes.map((route) => [route, createCredentialSource(route.credentials, services)] as const),
    );
  }

  /**
   * Makes a list, an answer to a query, or the three files of a version.
   * @throws EntrepotError `not-found`, `forbidden` or `upstream-unavailable`
   */
  async produce(route: DirectRoute, resource: Resource, { folder, signal }: Run): Promise<readonly ProducedFile[]> {
    return await this.#limiter.run(async () => {
      const { name: path = '', version } = resource.coordinates ?? {};
      if (version !== undefined) return await this.#version(route, path, version, { folder, signal });
      const query = /^(?:@v\/(.+)\.info|@(latest))$/.exec(resource.key.slice(path.length + 1));
      const wanted = query?.[1] ?? query?.[2];
      const args = wanted === undefined ? ['-versions', '-retracted', path] : [`${path}@${wanted}`];
      const found = await this.#run(route, ['list', '-m', '-e', '-json', ...args], { folder, signal });
      const [text, mediaType] =
        wanted === undefined
          ? [(found.Versions ?? []).map((each) => `${each}\n`).join(''), 'text/plain']
          : [infoText(found), 'application/json'];
      const file = join(folder, 'document');
      await writeFile(file, text);
      return [{ key: resource.key, path: file, mediaType }];
    }, signal);
  }

  async #version(route: DirectRoute, path: string, version: string, context: Run): Promise<readonly ProducedFile[]> {
    const found = await this.#run(route, ['mod', 'download', '-json', `${path}@${version}`], context);
    const { Info: info = '', GoMod: mod = '', Zip: zip = '' } = found;
    // Kept as it is shown, so that it is one copy with the others.
    await writeFile(info, infoText(JSON.parse(await readFile(info, 'utf8')) as ModuleJson));
    const key = `${path}/@v/${version}`;
    return [
      { key: `${key}.info`, path: info, mediaType: 'application/json' },
      { key: `${key}.mod`, path: mod, mediaType: 'text/plain' },
      { key: `${key}.zip`, path: zip, mediaType: 'application/zip' },
    ];
  }

  async #run(route: DirectRoute, args: readonly string[], { folder, signal }: Run): Promise<ModuleJson> {
    const source = this.#sources.get(route) as CredentialSource;
    const subject = args.at(-1) as string;
    const guard = hasProxy(process.env) ? undefined : new GuardProxy();
    const protocols = route.insecure ? ['https', 'http'] : ['https'];
    const credentials = new CredentialsSocket((question) => source.find(question, signal), protocols);
    try {
      await credentials.open();
      const insecure = route.insecure ? route.match.text : undefined;
      const proxy = await guard?.open();
      const { code, stdout, stderr } = await runDirect(args, { folder, credentials, proxy, insecure }, signal);
      const found = (parseJson(stdout) ?? undefined) as ModuleJson | undefined;
      const text = typeof found?.Error === 'string' ? found.Error : found?.Error?.Err;
      if (found !== undefined && code === 0 && text === undefined) return found;
      if (guard?.refused !== undefined) {
        const message = `${subject} leads to ${guard.refused}, a link-local address, which is never asked`;
        throw failure('forbidden', 'ADDRESS_REFUSED', message);
      }
      const error = directError(subject, text ?? stderr, credentials, { folder, secrets: source.secrets() });
      if (error.kind === 'forbidden') for (const each of credentials.told) source.rejected(each);
      if (error.kind !== 'not-found') {
        const { code, message, cause } = error;
        const detail = cause instanceof Error ? cause.message : message;
        this.#logger.warn({ module: subject, code, detail }, 'a module could not be had from its repository');
      }
      throw error;
    } finally {
      await credentials.close();
      await guard?.close();
    }
  }
}

/** An `.info`, also of where the version is from; never with a user or password of that place. */
function infoText({ Version, Time, Origin }: ModuleJson): string {
  const url = Origin?.['URL'];
  const origin = typeof url === 'string' ? { ...Origin, URL: url.replace(/\/\/[^/@]*@/, '//') } : Origin;
  return JSON.stringify({ Version, Time, Origin: origin });
}

/**
 * Checks that what direct routes need is on this machine.
 * @throws EntrepotError `configuration` saying what is not
 */
export async function requireDirectTools(): Promise<void> {
  const env = { ...process.env, GOTOOLCHAIN: 'local' };
  for (const [tool, argument] of Object.entries({ go: 'version', git: '--version' })) {
    const run = promisify(execFile)(tool, [argument], { env, timeout: 10_000 });
    await run.catch(() => {
      throw new EntrepotError('configuration', `a direct route needs ${tool}: expected it in PATH, and that it runs`);
    });
  }
}
