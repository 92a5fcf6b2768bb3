import assert from 'node:assert/strict';
import { EntrepotError, type ErrorKind } from '../api/errors.js';

type Run = () => Promise<void>;

/**
 * The functions of the caller's own test runner. `{ describe, it }` of vitest, node:test, mocha and Jest fit as they
 * are.
 */
export interface SuiteRunner {
  /** Groups checks. Absent: the group's name stands before that of the check. */
  describe?(name: string, define: () => void): unknown;
  /** `it.skip` reports what was not asked for. Absent: a passing check whose name says that it was skipped. */
  readonly it: {
    (name: string, run: Run): unknown;
    readonly skip?: unknown;
  };
}

/** A conformance suite: one of the `…Suite` functions of this package, or one with their shape. */
export type Suite<Factory, Options> = (runner: SuiteRunner, factory: Factory, options?: Options) => void;

/** The results of a suite. */
export interface SuiteReport {
  /** The names of the checks that passed. */
  readonly passed: readonly string[];
  readonly failed: readonly { readonly name: string; readonly error: Error }[];
  /** Checks of capabilities that were switched off; the reason stands in the name. */
  readonly skipped: readonly string[];
}

export interface SuiteRunOptions {
  /** The longest time of one check, in milliseconds. Default: 20 s. A check that takes longer has failed. */
  readonly checkTimeout?: number;
  /** Runs only the checks whose name this takes. */
  readonly only?: (name: string) => boolean;
}

/**
 * Runs a suite without a test runner, one check after the other. Never rejects for a check that fails.
 * @example
 * const report = await runSuite(blobStoreSuite, () => ({ store: new MyBlobStore() }));
 * console.log(printReport(report));
 * process.exitCode = report.failed.length > 0 ? 1 : 0;
 */
export async function runSuite<Factory, Options>(
  suite: Suite<Factory, Options>,
  factory: Factory,
  options?: Options,
  { checkTimeout = 20_000, only = () => true }: SuiteRunOptions = {},
): Promise<SuiteReport> {
  const checks: { readonly name: string; readonly run: Run }[] = [];
  const skipped: string[] = [];
  const it = Object.assign((name: string, run: Run) => void checks.push({ name, run }), {
    skip: (name: string) => void skipped.push(name),
  });
  suite({ it }, factory, options);
  const passed: string[] = [];
  const failed: { name: string; error: Error }[] = [];
  for (const { name, run } of checks.filter((check) => only(check.name))) {
    const error = await attempt(run, checkTimeout);
    if (error === undefined) passed.push(name);
    else failed.push({ name, error });
  }
  return { passed, failed, skipped };
}

/** A report for people: each failure with its message, and `N passed, N failed, N skipped` as the last line. */
export function printReport({ passed, failed, skipped }: SuiteReport): string {
  const failures = failed.map(({ name, error }) => `FAILED ${name}\n  ${error.message.replaceAll('\n', '\n  ')}\n`);
  return `${failures.join('')}${passed.length} passed, ${failed.length} failed, ${skipped.length} skipped`;
}

async function attempt(run: Run, timeout: number): Promise<Error | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`did not settle within ${timeout} ms`)), timeout);
  });
  try {
    await Promise.race([run(), expired]);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    clearTimeout(timer);
  }
}

/** Collects the checks of one suite. */
export interface Checks<Fixture> {
  /** Each check gets a fixture of its own. */
  check(name: string, run: (fixture: Fixture) => Promise<void>): void;
  /** As `check` where `capability` is there, else reported as skipped. */
  checkIf(capability: boolean, reason: string, name: string, run: (fixture: Fixture) => Promise<void>): void;
}

/** Puts checks under `name`; opens a fixture before each of them and closes it afterwards. */
export function defineChecks<Fixture>(
  runner: SuiteRunner,
  name: string,
  open: () => Promise<Fixture> | Fixture,
  close: (fixture: Fixture) => Promise<void>,
  define: (checks: Checks<Fixture>) => void,
): void {
  const { it } = runner;
  const label = (check: string): string => (runner.describe === undefined ? `${name}: ${check}` : check);
  const checks: Checks<Fixture> = {
    check(check, run) {
      it(label(check), async () => {
        const fixture = await open();
        let failed = true;
        try {
          await run(fixture);
          failed = false;
        } finally {
          // What went wrong first is what the reader needs.
          await close(fixture).catch((error: unknown) => {
            if (!failed) throw error;
          });
        }
      });
    },
    checkIf(capability, reason, check, run) {
      if (capability) return checks.check(check, run);
      const named = label(`${check} (skipped: ${reason})`);
      // Called as a method: runners keep state in `it`.
      if (typeof it.skip === 'function') (it as unknown as { skip(name: string, run: Run): void }).skip(named, pass);
      else it(named, pass);
    },
  };
  if (runner.describe === undefined) define(checks);
  else runner.describe(name, () => define(checks));
}

async function pass(): Promise<void> {}

/** The fixture of a driver, besides the driver itself. */
export interface DriverFixture<Driver> {
  /** For `replicas`: another driver on the same storage, as a restart or a second process opens it. The suite disposes of it. */
  reopen?(): Promise<Driver>;
  /** For `outage`: takes the storage away, so that every call fails from now on. */
  breakDown?(): Promise<void> | void;
  /** Removes the storage, after the drivers were disposed of. */
  close?(): Promise<void>;
}

/** The members of `fixture` that the checks of a driver call. */
export function openDriver<Driver extends { dispose(): Promise<void> }>(
  driver: Driver,
  fixture: DriverFixture<Driver>,
): Required<DriverFixture<Driver>> {
  const drivers = [driver];
  return {
    async reopen() {
      if (fixture.reopen === undefined) throw new Error('the capability "replicas" needs reopen() in the fixture');
      const another = await fixture.reopen();
      drivers.push(another);
      return another;
    },
    async breakDown() {
      if (fixture.breakDown === undefined) throw new Error('the capability "outage" needs breakDown() in the fixture');
      await fixture.breakDown();
    },
    async close() {
      try {
        for (const opened of drivers.reverse()) await opened.dispose();
      } finally {
        await fixture.close?.();
      }
    },
  };
}

/** Fails unless `work` rejects with an `EntrepotError` of `kind`. */
export async function assertFails(work: Promise<unknown>, kind: ErrorKind, what: string): Promise<EntrepotError> {
  const error = await failureOf(work);
  assert.ok(error !== undefined, `${what}: expected an error of kind ${kind}, found none`);
  assert.ok(
    error instanceof EntrepotError && (error as EntrepotError).kind === kind,
    `${what}: expected an EntrepotError of kind ${kind}, found ${String(error)}`,
  );
  return error as EntrepotError;
}

/** The reason that `work` rejects with; `undefined` when it resolves. */
export async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return error ?? new Error('rejected with nothing');
  }
}
