import assert from 'node:assert/strict';
import type { Content } from '../api/content.js';
import { EntrepotError } from '../api/errors.js';
import type { Scanner, ScanReport, ScanSubject } from '../api/scanner.js';
import { Gate } from './gate.js';
import { assertFails, defineChecks, failureOf, openDriver, type SuiteRunner } from './suite.js';

/** A scanner with a database that the author knows, for one check. */
export interface ScannerFixture {
  /** The suite disposes of it. */
  readonly scanner: Scanner;
  /** A subject without findings; with `content` where the scanner needs it. */
  readonly clean: ScanSubject;
  readonly vulnerable: ScanSubject;
  /** The id of a finding of `vulnerable`. */
  readonly findingId: string;
  /** For `outage`: takes the database or the backend away. */
  breakDown?(): Promise<void> | void;
  /** For `change`: puts another database in force. */
  change?(): Promise<void> | void;
  close?(): Promise<void>;
}

/** Abilities of the fixture and the scanner. Each is off by default. */
export interface ScannerCapabilities {
  readonly outage?: boolean;
  readonly change?: boolean;
  /** Whether the scanner needs the content. Must be what the scanner says of itself. */
  readonly content?: boolean;
  /** It has `lookup`, and says there of the two subjects what its scans find. */
  readonly lookup?: boolean;
  /** It has `scanAll`. */
  readonly batch?: boolean;
}

const SEVERITIES = ['critical', 'high', 'medium', 'low', 'none', 'unknown'];
const UNKNOWN_ECOSYSTEM = 'no-such-ecosystem';

/** Checks the contract of `Scanner`. `factory` gives a new scanner for each check. */
export function scannerSuite(
  runner: SuiteRunner,
  factory: () => Promise<ScannerFixture> | ScannerFixture,
  { outage = false, change = false, content = false, lookup = false, batch = false }: ScannerCapabilities = {},
): void {
  const close = (fixture: ScannerFixture): Promise<void> =>
    openDriver({ dispose: async () => fixture.scanner.dispose?.() }, fixture).close();
  defineChecks(runner, 'scanner', factory, close, ({ check, checkIf }) => {
    check('says what it judges and what it needs', async ({ scanner, clean, vulnerable }) => {
      const { ecosystems } = scanner.subjects;
      assert.ok(ecosystems.length > 0, 'expected an ecosystem, found none');
      for (const ecosystem of ecosystems) assert.match(ecosystem, /^[a-z][a-z0-9.+-]*$/);
      for (const subject of [clean, vulnerable]) assert.ok(ecosystems.includes(subject.coordinates.ecosystem));
      assert.equal(scanner.needs, content ? 'content' : 'coordinates');
    });

    check('finds nothing in a clean subject', async ({ scanner, clean }) => {
      const report = await scanner.scan(clean, live());
      assertReport(report, scanner);
      assert.deepEqual(report.findings, []);
    });

    check('finds what is there', async ({ scanner, vulnerable, findingId }) => {
      const report = await scanner.scan(vulnerable, live());
      assertReport(report, scanner);
      assert.ok(
        report.findings.some(({ id, aliases }) => id === findingId || aliases.includes(findingId)),
        `expected ${findingId}, found ${report.findings.map(({ id }) => id).join(', ') || 'nothing'}`,
      );
    });

    check('finds the same again, also when scans run at once', async ({ scanner, clean, vulnerable }) => {
      const subjects = [clean, vulnerable, clean, vulnerable];
      const reports = await Promise.all(subjects.map((subject) => scanner.scan(subject, live())));
      const [first, second, third, fourth] = reports.map(({ findings }) => findings);
      assert.deepEqual(third, first);
      assert.deepEqual(fourth, second);
      assert.notDeepEqual(first, second);
    });

    check('does not change its subject', async ({ scanner, vulnerable }) => {
      const before = JSON.stringify(vulnerable);
      const frozen = Object.freeze({ ...vulnerable, coordinates: Object.freeze({ ...vulnerable.coordinates }) });
      await scanner.scan(frozen, live());
      await scanner.scan(vulnerable, live());
      assert.equal(JSON.stringify(vulnerable), before);
    });

    check('keeps its revision while the database does not change', async ({ scanner, clean }) => {
      const revision = scanner.revision();
      assert.ok(typeof revision === 'string' && revision !== '', 'expected a revision, found none');
      await scanner.scan(clean, live());
      assert.equal(scanner.revision(), revision);
    });

    check('is ready', async ({ scanner }) => {
      await scanner.check();
    });

    check('cannot say anything of an ecosystem that it does not know', async ({ scanner, clean }) => {
      const subject = { ...clean, coordinates: { ...clean.coordinates, ecosystem: UNKNOWN_ECOSYSTEM } };
      await assertFails(scanner.scan(subject, live()), 'scan-unavailable', 'a subject of an unknown ecosystem');
    });

    check('throws when its signal is aborted before it starts', async ({ scanner, clean }) => {
      const error = await failureOf(scanner.scan(clean, AbortSignal.abort()));
      assert.ok(error !== undefined, 'expected an error for an aborted signal, found a report');
    });

    const noContent = 'content is off';
    checkIf(content, noContent, 'gives up a content that stands still when its signal is aborted', async (fixture) => {
      const abort = new AbortController();
      const stalled = stalledContent(fixture.clean);
      const scanning = failureOf(fixture.scanner.scan(withContent(fixture.clean, stalled.content), abort.signal));
      await Promise.race([stalled.gate.reached, scanning]);
      abort.abort();
      assert.ok((await scanning) !== undefined, 'expected an error when the signal is aborted, found a report');
    });

    checkIf(content, noContent, 'cannot say anything without the content', async ({ scanner, clean }) => {
      const { coordinates } = clean;
      await assertFails(scanner.scan({ coordinates }, live()), 'scan-unavailable', 'a subject without content');
    });

    checkIf(content, noContent, 'cannot say anything of a content that breaks off', async ({ scanner, clean }) => {
      const subject = withContent(clean, brokenContent(clean));
      await assertFails(scanner.scan(subject, live()), 'scan-unavailable', 'a content that breaks off');
    });

    checkIf(
      lookup,
      'lookup is off',
      'says at once of a version what a scan finds',
      async ({ scanner, ...subjects }) => {
        for (const subject of [subjects.clean, subjects.vulnerable]) {
          const { findings } = await scanner.scan(subject, live());
          assert.deepEqual(scanner.lookup?.(subject.coordinates, subject.integrity), findings);
        }
      },
    );

    checkIf(lookup, 'lookup is off', 'does not take what it does not know for clean', async ({ scanner, clean }) => {
      const found = scanner.lookup?.({ ...clean.coordinates, ecosystem: UNKNOWN_ECOSYSTEM });
      assert.equal(found, undefined);
    });

    checkIf(batch, 'batch is off', 'judges several subjects as it does each of them', async (fixture) => {
      const { scanner, clean, vulnerable } = fixture;
      const unknown = { ...clean, coordinates: { ...clean.coordinates, ecosystem: UNKNOWN_ECOSYSTEM } };
      const subjects = [vulnerable, unknown, clean, vulnerable];
      const results = await scanner.scanAll?.(subjects, live());
      assert.equal(results?.length, subjects.length);
      for (const [index, subject] of subjects.entries()) {
        const result: ScanReport | Error | undefined = results[index];
        if (subject === unknown) {
          assert.ok(result instanceof EntrepotError, 'expected an error for an unknown ecosystem, found a report');
          continue;
        }
        assert.ok(result !== undefined && !(result instanceof Error), `expected a report, found ${String(result)}`);
        assertReport(result, scanner);
        assert.deepEqual(result.findings, (await scanner.scan(subject, live())).findings);
      }
    });

    checkIf(outage, 'outage is off', 'calls an outage an error, never a clean report', async (fixture) => {
      if (fixture.breakDown === undefined) throw new Error('the capability "outage" needs breakDown() in the fixture');
      await fixture.breakDown();
      for (const subject of [fixture.clean, fixture.vulnerable]) {
        await assertFails(fixture.scanner.scan(subject, live()), 'scan-unavailable', 'scan()');
      }
      await assertFails(fixture.scanner.check(), 'scan-unavailable', 'check()');
    });

    checkIf(change, 'change is off', 'has another revision when the database changes', async (fixture) => {
      if (fixture.change === undefined) throw new Error('the capability "change" needs change() in the fixture');
      const before = fixture.scanner.revision();
      await fixture.change();
      assert.notEqual(fixture.scanner.revision(), before);
      assertReport(await fixture.scanner.scan(fixture.clean, live()), fixture.scanner);
    });
  });
}

function assertReport(report: ScanReport, scanner: Scanner): void {
  assert.ok(typeof report.scanner === 'string' && report.scanner !== '', 'expected the name of the scanner');
  assert.equal(report.revision, scanner.revision());
  assert.ok(Number.isFinite(report.scannedAt), `scannedAt: expected milliseconds, found ${String(report.scannedAt)}`);
  assert.ok(['full', 'partial'].includes(report.coverage), `coverage: found ${String(report.coverage)}`);
  assert.ok(Array.isArray(report.findings), 'findings: expected a list');
  for (const { id, aliases, severity, cvss, fixedIn, source } of report.findings) {
    assert.ok(typeof id === 'string' && id !== '', 'expected the id of a finding');
    assert.ok(
      SEVERITIES.includes(severity),
      `${id}: expected one of ${SEVERITIES.join(', ')}, found ${String(severity)}`,
    );
    assert.ok(
      cvss === undefined || (cvss >= 0 && cvss <= 10),
      `${id}: expected a score of 0 to 10, found ${String(cvss)}`,
    );
    for (const list of [aliases, fixedIn])
      assert.ok(Array.isArray(list), `${id}: expected a list, found ${typeof list}`);
    assert.ok(typeof source === 'string' && source !== '', `${id}: expected the database that it comes from`);
  }
}

function live(): AbortSignal {
  return new AbortController().signal;
}

/** The file is left out: a scanner that would read it must go by the content. */
function withContent(subject: ScanSubject, content: Content): ScanSubject {
  return { coordinates: subject.coordinates, digest: subject.digest, content };
}

/** A content that nobody gets a piece of; `gate` is reached by who waits for one. */
function stalledContent(subject: ScanSubject): { readonly content: Content; readonly gate: Gate } {
  const gate = new Gate();
  const never = (): Promise<never> => gate.pass() as Promise<never>;
  return {
    gate,
    content: contentLike(subject, {
      stream: () => ({ [Symbol.asyncIterator]: () => ({ next: never }) }),
      bytes: never,
    }),
  };
}

function brokenContent(subject: ScanSubject): Content {
  const fail = (): never => {
    throw new Error('the content broke off');
  };
  return contentLike(subject, {
    async *stream() {
      yield Buffer.alloc(1);
      fail();
    },
    bytes: async () => fail(),
  });
}

function contentLike({ content }: ScanSubject, reading: Pick<Content, 'stream' | 'bytes'>): Content {
  return { size: content?.size ?? 1, mediaType: content?.mediaType ?? 'application/octet-stream', ...reading };
}
