import { CLOCK, LOGGER, type Clock, type Logger, type RepositoryFacts } from '@entrepot/core';
import { classesOf, type ClassFacts } from './classes.js';
import type { Format, Signatures } from './format.js';
import type { RepositoryOptions } from './options.js';
import { RepositoryProxy } from './proxy.js';
import { ROOTS } from './roots.js';
import { OpenPgpSignatures } from './signatures.js';

/** The services that a proxy needs. */
export const SERVICES = { clock: CLOCK, logger: LOGGER };

interface Created<Options extends RepositoryOptions> {
  readonly options: Options;
  readonly repository: RepositoryFacts;
  readonly services: { readonly clock: Clock; readonly logger: Logger };
}

/** The proxy side of a plugin of one format. @param openSignatures absent: OpenPGP */
export function proxySide<Options extends RepositoryOptions = RepositoryOptions>(
  format: Format,
  facts: ClassFacts<Options>,
  openSignatures: (options: RepositoryOptions['signatures'], logger: Logger) => Promise<Signatures> = (...given) =>
    OpenPgpSignatures.open(...given),
) {
  return {
    classes: classesOf(format, facts),
    roots: ROOTS,
    create: async ({ options, repository, services }: Created<Options>): Promise<RepositoryProxy> => {
      const signatures = await openSignatures(options.signatures, services.logger);
      const { refreshInterval } = facts;
      const mirrorLists = facts.mirrorLists?.open(options);
      return new RepositoryProxy(format, {
        ...services,
        options,
        repository,
        signatures,
        refreshInterval,
        mirrorLists,
      });
    },
  };
}
