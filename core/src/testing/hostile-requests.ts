import assert from 'node:assert/strict';
import { EntrepotError, type ErrorKind } from '../api/errors.js';
import type { RequestHead } from '../api/protocol.js';
import type { Protocol } from '../engine/request/protocol.js';
import { StoredResource, type BoundResource } from '../engine/request/resource.js';
import type { ProtocolCase, ProtocolSubject } from './protocol-subject.js';
import { asRequest, headOf, printRequest, routeRequest, shownAs } from './route-table.js';
import type { TestRequest } from './test-repository.js';
import { pseudoRandom } from './pseudo-random.js';

const ROUTE_ERRORS: readonly ErrorKind[] = ['bad-request', 'not-found', 'forbidden', 'method-not-allowed'];
const HEADS = 3000;
/** Segments that have broken somebody's parser. All of them get past the check of the path. */
const ODD_SEGMENTS = [
  '-',
  '_',
  '@',
  '@scope',
  '@scope/name',
  '...',
  '%2e%2e',
  '%2e%2e%2fetc',
  '%',
  '%zz',
  ' ',
  '~',
  ':',
  'a:b',
  'http:',
  '?',
  '#',
  'a#b',
  'a?b=c',
  ';',
  '&',
  '=',
  '+',
  '$(x)',
  '<script>',
  '"',
  "'",
  '{}',
  '[a]',
  '|',
  '^',
  '`',
  '__proto__',
  'constructor',
  'toString',
  'é',
  'e\u0301',
  '中文',
  '😀',
  '\u200B',
  '\u0085',
  '\u2028',
  'x'.repeat(300),
  '.git',
  'index.html',
  '0',
  '1.0.0',
  '-1',
  'latest',
  'a.tgz',
  '.tgz',
];
const ODD_QUERIES = [
  '=',
  '&',
  '%',
  '%zz=1',
  'a=%00',
  'a=%0d%0aX-Injected:1',
  'a=1&a=2',
  'a=..%2f..',
  'a=../..',
  'a=//b',
  '?',
];
const ODD_HEADERS = ['', '*/*', 'text/html', 'application/json;q=0', ',', '\u00ff', 'x'.repeat(1000)];

/** A plugin with the requests of its table. */
interface Requested extends Pick<ProtocolSubject, 'plugin'> {
  readonly cases: readonly Pick<ProtocolCase, 'request'>[];
}

/** The resources that random requests name, made from the table's own paths and odd ones. Fails when `route` does. */
export function* fuzzed(
  protocol: Protocol,
  subject: Requested,
): Iterable<{ readonly label: string; readonly resource: BoundResource }> {
  const random = pseudoRandom(20_260_101);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const known = [[], ...subject.cases.map(({ request }) => tryHead(asRequest(request), subject)?.segments ?? [])];
  const pieces = [...known.flat(), ...ODD_SEGMENTS];
  for (let count = 0; count < HEADS; count += 1) {
    const segments =
      random() < 0.5 ? [...pick(known)] : Array.from({ length: Math.floor(random() * 7) }, () => pick(pieces));
    if (segments.length > 0 && random() < 0.7) segments[Math.floor(random() * segments.length)] = pick(pieces);
    if (random() < 0.2) segments.push(pick(pieces));
    const accept = pick([undefined, ...ODD_HEADERS]);
    const made = `${encodeURIComponent(pick(pieces))}=${encodeURIComponent(pick(pieces))}`;
    const rawQuery = pick(['', '', '', made, made, pick(ODD_QUERIES)]);
    const head: RequestHead = {
      method: pick(['GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND']),
      segments: Object.freeze(segments),
      trailingSlash: random() < 0.2,
      query: new URLSearchParams(rawQuery),
      rawQuery,
      header: () => accept,
    };
    const label = `${head.method} ${JSON.stringify(segments)}${rawQuery === '' ? '' : `?${rawQuery}`}`;
    const resource = callRoute(protocol, head, label);
    if (resource !== undefined) yield { label, resource };
  }
}

/** Calls `route`, and fails for what it must not throw or return. */
function callRoute(protocol: Protocol, head: RequestHead, label: string): BoundResource | undefined {
  let resource: unknown;
  try {
    resource = protocol.route(head);
  } catch (error) {
    const allowed = error instanceof EntrepotError && ROUTE_ERRORS.includes((error as EntrepotError).kind);
    assert.ok(allowed, `route(${label}) must throw nothing but ${ROUTE_ERRORS.join(', ')}; it threw ${String(error)}`);
    return undefined;
  }
  if (resource === undefined) return undefined;
  assert.ok(
    typeof resource === 'object' && resource !== null && !('then' in resource),
    `route(${label}) must return a resource or undefined, at once`,
  );
  return resource as BoundResource;
}

/** The resources that the table's own requests name. */
export function* routed(
  protocol: Protocol,
  subject: Requested,
): Iterable<{ readonly label: string; readonly resource: BoundResource }> {
  for (const { request } of subject.cases) {
    const head = tryHead(asRequest(request), subject);
    const label = printRequest(asRequest(request));
    const resource = head && callRoute(protocol, head, label);
    if (resource !== undefined) yield { label, resource };
  }
}

/** Computes all facts of what table and random requests name, twice. Fails where one fails, or differs. */
export function assertFacts(protocol: Protocol, subject: Requested): void {
  for (const { label, resource } of [...routed(protocol, subject), ...fuzzed(protocol, subject)]) {
    if (resource.kind === 'local') continue;
    const again = protocol.bind(resource.named);
    assert.equal(printFacts(again, label), printFacts(resource, label), `the facts of ${label}`);
  }
}

/**
 * Prints the facts that core may ask for: those of something stored are computed for it. Resources among them show their names.
 * Fails where a fact does.
 */
function printFacts(resource: BoundResource, label: string): string {
  const names = resource instanceof StoredResource ? gettersOf(resource) : Object.keys(resource);
  const facts: Record<string, unknown> = {};
  for (const name of names) {
    try {
      facts[name] = (resource as never)[name];
    } catch (cause) {
      throw new Error(`${label}: the fact ${name} of ${JSON.stringify(shownAs(resource))} failed: ${String(cause)}`, {
        cause,
      });
    }
  }
  return JSON.stringify(facts, (_name, value: unknown) => (value instanceof StoredResource ? value.named : value));
}

function gettersOf(resource: StoredResource): string[] {
  const names: string[] = [];
  for (let shape: object = resource; shape !== Object.prototype; shape = Object.getPrototypeOf(shape) as object) {
    const members = Object.entries(Object.getOwnPropertyDescriptors(shape));
    names.push(...members.filter(([, { get }]) => get !== undefined).map(([name]) => name));
  }
  return names;
}

/** `undefined` for a path that never gets to `route`. */
function tryHead(request: TestRequest, { plugin }: Requested): RequestHead | undefined {
  try {
    return headOf(request, plugin.http);
  } catch {
    return undefined;
  }
}

/** A copy of what `request` names, so that what is changed later shows. */
export function attemptRoute(protocol: Protocol, subject: ProtocolSubject, request: TestRequest): unknown {
  const found = routeRequest(protocol, request, subject.plugin.http);
  return structuredClone(typeof found === 'string' ? found : shownAs(found));
}

/** The table's requests that read. */
export function gets({ cases }: ProtocolSubject): TestRequest[] {
  return cases.map(({ request }) => asRequest(request)).filter(({ method = 'GET' }) => method === 'GET');
}

/** The table's own paths with every step of them attacked. */
export function hostilePaths(subject: ProtocolSubject): string[] {
  const steps = [
    '..',
    '%2e%2e',
    '%2E%2E%2F%2e%2e',
    '..%2f..%2fetc%2fpasswd',
    '%252e%252e',
    '%252e%252e%252fetc',
    '%25',
    '%25zz',
    '%255c',
    '%2500',
    '..%5c..%5c',
    '%5c',
    '%00',
    'a%00b',
    '%0d%0aX-Injected:1',
    '%c0%ae%c0%ae',
    '%',
    '%zz',
    '.',
    '',
    'http:%2f%2fevil.example.com',
    '%2f%2fevil.example.com',
    '%2fetc%2fpasswd',
    'x'.repeat(10_000),
  ];
  const paths = new Set(steps.map((step) => `/${step}`));
  for (const { path } of gets(subject)) {
    const parts = (path.split('?', 1)[0] as string).split('/').slice(1);
    for (const step of steps) {
      paths.add(`${path.split('?', 1)[0]}/${step}`);
      for (let at = 0; at < parts.length; at += 1) paths.add(`/${parts.with(at, step).join('/')}`);
    }
  }
  return [...paths];
}

/** Whether a server that decodes `path` once would leave its folder, or split its log. */
export function isHostile(path: string): boolean {
  const decoded = path.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  return /(^|[/\\])\.\.([/\\]|$)|[\u0000-\u001f\\]/.test(decoded);
}
