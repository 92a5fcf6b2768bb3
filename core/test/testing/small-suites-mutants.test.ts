import { describe } from 'vitest';
import {
  EntrepotError,
  type Finding,
  type HotCache,
  packageUrl,
  type PolicyEngine,
  type PolicyInput,
  type Scanner,
} from '@entrepot/core';
import {
  FixedPolicy,
  type FixedRule,
  type HotCacheFixture,
  hotCacheSuite,
  ManualClock,
  MemoryHotCache,
  type PolicyFixture,
  policySuite,
  type ScannerFixture,
  scannerSuite,
} from '@entrepot/core/testing';
import { FixedScanner, type FixedScannerOptions } from './fixed-scanner.js';
import { scannerFixture } from './fixtures.js';
import { type Mutant, mutate, testMutants } from './mutants.js';

describe('hot cache suite', () => {
  const factory =
    (wrong: (right: HotCache) => Partial<HotCache> = () => ({})) =>
    (): HotCacheFixture => {
      const clock = new ManualClock();
      const memory = new MemoryHotCache(clock);
      let down = false;
      const right = mutate<HotCache>(memory, () => ({
        get: async (key) => (down ? undefined : memory.get(key)),
      }));
      return {
        cache: mutate(right, (cache) => wrong(cache)),
        advance: (milliseconds) => clock.advance(milliseconds),
        breakDown: async () => {
          down = true;
        },
      };
    };
  const mutant = (name: string, caughtBy: string[], wrong: (right: HotCache) => Partial<HotCache>) => ({
    name,
    caughtBy,
    factory: factory(wrong),
  });

  testMutants(hotCacheSuite, factory(), { clock: true, outage: true }, [
    mutant('answers null', ['answers undefined for what it never got'], (right) => ({
      get: async (key) => (await right.get(key)) ?? (null as never),
    })),
    mutant('takes an empty value for none', ['gives back values of every kind'], (right) => ({
      get: async (key) => (await right.get(key)) || undefined,
    })),
    mutant('parses what it keeps', ['gives back values of every kind'], (right) => ({
      get: async (key) => ((await right.get(key)) === 'null' ? (null as never) : right.get(key)),
    })),
    mutant('keeps values in a plain object', ['keeps keys apart'], () => {
      const kept: Record<string, string> = {};
      return {
        get: async (key) => kept[key],
        set: async (key, value) => {
          kept[key] = value;
        },
      };
    }),
    mutant(
      'keeps the first value',
      ['takes a newer value in place of an older one', 'forgets a value when its time is over'],
      (right) => ({
        async set(key, value, ttl) {
          if ((await right.get(key)) === undefined) await right.set(key, value, ttl);
        },
      }),
    ),
    mutant('deletes nothing', ['forgets one key when told to'], () => ({ delete: async () => {} })),
    mutant('fails for a key that it does not have', ['forgets one key when told to'], (right) => ({
      async delete(key) {
        if ((await right.get(key)) === undefined) throw new Error('no such key');
        await right.delete(key);
      },
    })),
    mutant('never forgets', ['forgets a value when its time is over'], (right) => ({
      set: (key, value) => right.set(key, value, Infinity),
    })),
    mutant('takes seconds for milliseconds', ['forgets a value when its time is over'], (right) => ({
      set: (key, value, ttl) => right.set(key, value, ttl / 1000),
    })),
    mutant('throws while its backend is down', ['answers undefined while its backend is down'], (right) => {
      const seen = new Set<string>();
      return {
        async set(key, value, ttl) {
          seen.add(key);
          await right.set(key, value, ttl);
        },
        async delete(key) {
          seen.delete(key);
          await right.delete(key);
        },
        async get(key) {
          const value = await right.get(key);
          if (value === undefined && seen.has(key)) throw new Error('ECONNREFUSED');
          return value;
        },
      };
    }),
  ]);
});

describe('policy suite', () => {
  const week = 7 * 24 * 3_600_000;
  const rules: readonly FixedRule[] = [
    { id: 'watch', action: 'warn', reason: 'watched', matches: ({ coordinates }) => coordinates.name === 'lodash' },
    {
      id: 'no-latest',
      action: 'deny',
      reason: 'never latest',
      matches: ({ coordinates }) => coordinates.version === 'latest',
    },
  ];
  /** Holds what is younger than a week, and says until when. */
  function ripening(policy: PolicyEngine, announce: (until: number) => number | undefined): Partial<PolicyEngine> {
    return {
      evaluate(input) {
        const decision = policy.evaluate(input);
        const until = (input.facts.publishedAt ?? -Infinity) + week;
        if (until <= input.now) return decision;
        const held = { id: 'age', action: 'hold', reason: 'younger than a week' } as const;
        const action = decision.action === 'deny' ? 'deny' : 'hold';
        return { action, rules: [...decision.rules, held], nextChangeAt: announce(until) };
      },
    };
  }
  const factory =
    (wrong: (right: FixedPolicy) => Partial<PolicyEngine> = (right) => ripening(right, (until) => until)) =>
    (): PolicyFixture => {
      const policy = new FixedPolicy(rules);
      return { policy: mutate<PolicyEngine>(policy, () => wrong(policy)), change: () => policy.setRules([]) };
    };
  const mutant = (
    name: string,
    caughtBy: string[],
    wrong: (right: FixedPolicy) => Partial<PolicyEngine>,
  ): Mutant<() => PolicyFixture> => ({
    name,
    caughtBy,
    factory: factory(wrong),
  });

  testMutants(policySuite, factory(), { change: true }, [
    mutant('answers later', ['decides every input, at once'], (right) => ({
      evaluate: (input) => Promise.resolve(right.evaluate(input)) as never,
    })),
    mutant('throws for a name that it does not like', ['decides every input, at once'], (right) => ({
      evaluate(input) {
        if (input.coordinates.name === '') throw new Error('no name');
        return right.evaluate(input);
      },
    })),
    mutant('needs a version', ['decides every input, at once'], (right) => ({
      evaluate(input) {
        (input.coordinates.version as string).split('.');
        return right.evaluate(input);
      },
    })),
    mutant('invents an action', ['decides every input, at once'], (right) => ({
      evaluate: (input) => ({ ...right.evaluate(input), action: 'block' as never }),
    })),
    mutant('lets the first rule decide', ['lets the strongest of the rules that fired decide'], (right) => ({
      evaluate(input) {
        const decision = right.evaluate(input);
        return { ...decision, action: decision.rules[0]?.action ?? 'allow' };
      },
    })),
    mutant('hides the rule that denied', ['lets the strongest of the rules that fired decide'], (right) => ({
      evaluate: (input) => ({ ...right.evaluate(input), rules: [] }),
    })),
    mutant('remembers what it was asked', ['gives the same decision for the same input'], (right) => {
      let calls = 0;
      return {
        evaluate(input) {
          calls += 1;
          return calls % 10 === 0
            ? { action: 'deny', rules: [{ id: 'tired', action: 'deny', reason: 'tired' }] }
            : right.evaluate(input);
        },
      };
    }),
    mutant('writes into its input', ['does not change its input'], (right) => ({
      evaluate(input) {
        (input as { now: number }).now += 1;
        return right.evaluate(input);
      },
    })),
    mutant('gives away its own books', ['is not changed through a decision that it gave'], (right) => {
      const books = new Map<string, ReturnType<PolicyEngine['evaluate']>>();
      return {
        evaluate(input) {
          const name = JSON.stringify(input);
          const decision = books.get(name) ?? right.evaluate(input);
          books.set(name, decision);
          return decision;
        },
      };
    }),
    mutant('does not say that time changes a decision', ['says when a decision can change by time alone'], (right) =>
      ripening(right, () => undefined),
    ),
    mutant('says it too late', ['says when a decision can change by time alone'], (right) =>
      ripening(right, (until) => until + 1000),
    ),
    mutant('goes by the wall clock', ['gives the same decision for the same input'], (right) => {
      let tick = 0;
      return {
        evaluate(input: PolicyInput) {
          tick += 1;
          return ripening(right, () => input.now + 1 + tick).evaluate?.(input) as never;
        },
      };
    }),
    mutant('counts up its revision', ['keeps its revision while nothing changes'], () => {
      let revision = 0;
      return { revision: () => String((revision += 1)) };
    }),
    mutant('never changes its revision', ['has another revision when it decides differently'], () => ({
      revision: () => '1',
    })),
  ]);
});

describe('scanner suite', () => {
  /** A fixed scanner that looks up and scans in batches too. */
  const withAll = (right: FixedScanner, { findings = {} }: FixedScannerOptions): Scanner =>
    mutate<Scanner>(right, () => ({
      lookup: (coordinates) =>
        right.subjects.ecosystems.includes(coordinates.ecosystem)
          ? (findings[packageUrl(coordinates)] ?? [])
          : undefined,
      scanAll: (subjects, signal) =>
        Promise.all(subjects.map((subject) => right.scan(subject, signal).catch((error: unknown) => error as Error))),
    }));
  const factory =
    (wrong: (right: Scanner) => Partial<Scanner> = () => ({})) =>
    (): ScannerFixture =>
      scannerFixture((options) => {
        const right = withAll(new FixedScanner(options), options);
        return mutate<Scanner>(right, () => wrong(right));
      }, 'content');
  const mutant = (
    name: string,
    caughtBy: string[],
    wrong: (right: Scanner) => Partial<Scanner>,
  ): Mutant<() => ScannerFixture> => ({
    name,
    caughtBy,
    factory: factory(wrong),
  });
  const shout = (finding: Finding): Finding => ({ ...finding, severity: 'HIGH' as never });
  const empty = (right: Scanner) =>
    ({ scanner: 'empty', revision: right.revision(), scannedAt: 0, coverage: 'full', findings: [] }) as const;

  testMutants(scannerSuite, factory(), { outage: true, change: true, content: true, lookup: true, batch: true }, [
    mutant('needs nothing, it says', ['says what it judges and what it needs'], () => ({ needs: 'coordinates' })),
    mutant('does not judge what it judges', ['says what it judges and what it needs'], () => ({
      subjects: { ecosystems: ['pypi'] },
    })),
    mutant(
      'finds nothing, ever',
      ['finds what is there', 'finds the same again', 'calls an outage an error'],
      (right) => ({
        scan: async () => empty(right),
      }),
    ),
    mutant('finds something everywhere', ['finds nothing in a clean subject'], (right) => ({
      async scan(subject, signal) {
        const report = await right.scan(subject, signal);
        const found = { id: 'CVE-0', aliases: [], severity: 'low', fixedIn: [], source: 'x' } as const;
        return { ...report, findings: [...report.findings, found] };
      },
    })),
    mutant(
      'gives an empty report when it fails',
      [
        'calls an outage an error, never a clean report',
        'cannot say anything of a content that breaks off',
        'cannot say anything of an ecosystem',
        'cannot say anything without the content',
        'throws when its signal is aborted before',
        'gives up a content that stands still',
      ],
      (right) => ({
        scan: (subject, signal) => right.scan(subject, signal).catch(() => empty(right)),
      }),
    ),
    mutant('throws plain errors', ['calls an outage an error', 'cannot say anything without the content'], (right) => ({
      scan: (subject, signal) => right.scan(subject, signal).catch(() => Promise.reject(new Error('exit code 1'))),
    })),
    mutant(
      'never gives up',
      ['gives up a content that stands still', 'throws when its signal is aborted before'],
      (right) => ({
        scan: (subject) => right.scan(subject, new AbortController().signal),
      }),
    ),
    mutant('spells severities in its own way', ['finds what is there'], (right) => ({
      async scan(subject, signal) {
        const report = await right.scan(subject, signal);
        return { ...report, findings: report.findings.map(shout) };
      },
    })),
    mutant('forgets what it found', ['finds the same again'], (right) => {
      const seen = new Set<string>();
      return {
        async scan(subject, signal) {
          const report = await right.scan(subject, signal);
          const again = seen.has(subject.coordinates.name);
          seen.add(subject.coordinates.name);
          return again ? { ...report, findings: [] } : report;
        },
      };
    }),
    mutant('writes into its subject', ['does not change its subject'], (right) => ({
      async scan(subject, signal) {
        (subject.coordinates as { name: string }).name = subject.coordinates.name.trim();
        Object.assign(subject, { scanned: true });
        return right.scan(subject, signal);
      },
    })),
    mutant('has a new revision for each question', ['keeps its revision while the database does not change'], () => {
      let revision = 0;
      return { revision: () => String((revision += 1)) };
    }),
    mutant('never changes its revision', ['has another revision when the database changes'], () => ({
      revision: () => '1',
    })),
    mutant('looks up nothing', ['says at once of a version what a scan finds'], () => ({ lookup: () => [] })),
    mutant('looks up later', ['says at once of a version what a scan finds'], (right) => ({
      lookup: (coordinates) => Promise.resolve(right.lookup?.(coordinates)) as never,
    })),
    mutant('looks up everything as clean', ['does not take what it does not know for clean'], (right) => ({
      lookup: (coordinates) => right.lookup?.(coordinates) ?? [],
    })),
    mutant('answers out of order', ['judges several subjects as it does each of them'], (right) => ({
      scanAll: async (subjects, signal) => ((await right.scanAll?.(subjects, signal)) ?? []).toReversed().slice(1),
    })),
    mutant('fails for all where one fails', ['judges several subjects as it does each of them'], (right) => ({
      scanAll: (subjects, signal) => Promise.all(subjects.map((subject) => right.scan(subject, signal))),
    })),
    mutant('calls one clean that it could not judge', ['judges several subjects as it does each of them'], (right) => ({
      scanAll: (subjects, signal) =>
        Promise.all(subjects.map((subject) => right.scan(subject, signal).catch(() => empty(right)))),
    })),
    mutant('is never ready', ['is ready'], () => ({
      check: async () => {
        throw new EntrepotError('scan-unavailable', 'no database');
      },
    })),
    mutant('is always ready', ['calls an outage an error'], () => ({ check: async () => {} })),
  ]);
});
