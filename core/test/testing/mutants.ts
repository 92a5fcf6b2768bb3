import { expect, it } from 'vitest';
import { runSuite, type Suite } from '@entrepot/core/testing';

/** `right` with some of its methods replaced by wrong ones. */
export function mutate<T extends object>(right: T, wrong: (right: T) => Partial<T>): T {
  const replaced = wrong(right);
  return new Proxy(right, {
    get(target, name) {
      if (Object.hasOwn(replaced, name)) return Reflect.get(replaced, name) as unknown;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** A driver that is wrong in one way, and the checks that must find it out. */
export interface Mutant<Factory> {
  readonly name: string;
  readonly factory: Factory;
  /** The beginnings of the names of checks. */
  readonly caughtBy: readonly string[];
}

/**
 * Tests that every mutant fails the checks that it names, that the right driver fails none, and that every check is
 * failed by at least one mutant: one that nothing fails proves nothing.
 */
export function testMutants<Factory, Options>(
  suite: Suite<Factory, Options>,
  right: Factory,
  options: Options,
  mutants: readonly Mutant<Factory>[],
  checkTimeout = 300,
): void {
  const proven = new Set<string>();

  it('passes a right driver', async () => {
    const { passed, failed, skipped } = await runSuite(suite, right, options);
    expect(failed).toEqual([]);
    expect(skipped).toEqual([]);
    expect(passed.length).toBeGreaterThan(0);
  });

  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))('catches: %s', async (_name, mutant) => {
    // A mutant may hang; a right driver has all the time that it needs.
    const only = (name: string): boolean => mutant.caughtBy.some((check) => bare(name).startsWith(check));
    const { passed, failed } = await runSuite(suite, mutant.factory, options, { checkTimeout, only });
    for (const { name } of failed) proven.add(bare(name));
    expect(passed.map(bare), 'checks that did not notice').toEqual([]);
    expect(failed.length).toBeGreaterThanOrEqual(mutant.caughtBy.length);
    expect(mutant.caughtBy.length).toBeGreaterThan(0);
  });

  it('has a mutant for every check', async () => {
    const { passed } = await runSuite(suite, right, options);
    const unproven = passed.map(bare).filter((name) => !proven.has(name));
    expect(unproven).toEqual([]);
  });
}

/** The name of a check without that of its suite. */
function bare(name: string): string {
  return name.slice(name.indexOf(': ') + 2);
}
