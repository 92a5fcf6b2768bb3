import { EntrepotError, type Protocol, type ProtocolPlugin, type RepositoryFacts } from '@entrepot/core';
import type { Scope } from '../container/scope.js';
import { checkProtocol } from './check.js';
import { oneLine, PluginFault, within, type Mismatch } from './problem.js';

const CREATE_TIMEOUT = 30_000;

/** What a plugin needs to make the protocol of one repository. */
export interface CreateProtocolOptions {
  readonly plugin: ProtocolPlugin;
  /** The repository's scope: only the services that the plugin named are taken from it. */
  readonly scope: Scope;
  /** As the plugin's schema returned them. */
  readonly options: unknown;
  readonly repository: RepositoryFacts;
  /** How long `create` may take, in milliseconds. */
  readonly timeout?: number | undefined;
}

/** The protocol, or why there is none: `mismatches` are faults of the plugin, `refusal` is what it says of its options. */
export type CreateProtocolResult =
  { readonly protocol: Protocol } | { readonly mismatches: readonly Mismatch[] } | { readonly refusal: string };

/** Makes a plugin's protocol for one repository, or says why it could not. */
export async function createProtocol({
  plugin,
  scope,
  options,
  repository,
  timeout = CREATE_TIMEOUT,
}: CreateProtocolOptions): Promise<CreateProtocolResult> {
  const services = Object.fromEntries(Object.entries(plugin.inject).map(([name, token]) => [name, scope.get(token)]));
  try {
    const protocol = await within(
      timeout,
      // Called in a promise, so that a throw and a rejection are one thing.
      Promise.resolve().then(() => plugin.create({ services, options, repository })),
      () => new PluginFault({ found: `create still running after ${timeout} ms`, wanted: 'create to make a protocol' }),
    );
    const mismatches = checkProtocol(protocol);
    return mismatches.length > 0 ? { mismatches } : { protocol };
  } catch (error) {
    if (error instanceof PluginFault) return { mismatches: [error] };
    if (error instanceof EntrepotError && (error as EntrepotError).kind === 'configuration') {
      return { refusal: (error as EntrepotError).message };
    }
    return { mismatches: [{ found: `an error from create: ${oneLine(error)}`, wanted: 'create to make a protocol' }] };
  }
}
