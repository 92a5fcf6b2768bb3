import type { ReadingContext } from '../../plugin/alias.js';
import { hook } from '../request/call-hook.js';
import type { RepositoryRoots } from '../store/repository.js';
import { readingContext, type ReadingParts } from './reading-context.js';

const NONE: ReadonlySet<string> = new Set();

/** Makes the roots of a repository. `undefined`: its format has none. */
export function createRoots(parts: ReadingParts): RepositoryRoots | undefined {
  const { definition, services } = parts;
  const { roots } = definition.protocol;
  if (roots === undefined) return undefined;
  const call = <Result>(name: string, run: (context: ReadingContext) => Result | Promise<Result>): Promise<Result> =>
    hook(definition.plugin.id, name, () => run(readingContext(parts, services.clock.now(), { isExact: true })));
  return {
    list: () => call('roots.list', (context) => roots.list(context)),
    refresh: (name) => call('roots.refresh', (context) => roots.refresh(name, context)),
    heldKeys: () => call('roots.heldKeys', (context) => roots.heldKeys?.(context) ?? NONE),
  };
}
