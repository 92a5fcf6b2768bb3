import { EntrepotError, packageUrl, type Clock, type PackageCoordinates } from '@entrepot/core';
import type Router from '@koa/router';
import type { Context, Middleware } from 'koa';
import { checkDocument } from '../policy/policy-document.js';
import { BILLS } from '../policy/bill-of-materials.js';
import { changedException, exceptionChangeOf } from '../policy/exception-change.js';
import { selectExceptions } from '../policy/exception-filter.js';
import { exceptionOf, expiryOf } from '../policy/exception-form.js';
import type { Governance } from '../policy/governance.js';
import { judgeBill, readBill } from '../policy/judge-bill.js';
import { impactOf, type Impact } from '../policy/impact.js';
import { parsePackageUrl, type Inquiry } from '../policy/inquiry.js';
import { simulatePolicy } from '../policy/simulate.js';
import { exceptionFormsOf, vexOf } from '../policy/vex.js';
import type { KeptException } from '../drivers/sql/exception-store.js';
import { PRIORITIES } from '../drivers/sql/scan-store.js';
import { administratorOf } from './admin-access.js';
import { decoded, fieldsOf, numberOf, parameterOf, textOf } from './admin-input.js';
import { readBody, readJson, readValue } from '../http/read-body.js';
import { severityCounts } from './severity-counts.js';

export interface AdminOptions {
  readonly governance: Governance;
  readonly inquiry: Inquiry;
  /** Admits administrators. */
  readonly guard: Middleware;
  readonly clock: Clock;
  /** The longest term of an exception, in milliseconds. */
  readonly longestException: number;
}

type Answer = (ctx: Context) => Promise<unknown> | unknown;

const ROOT = '/-/api/v1';
const DAY = 86_400_000;
const MAX_LIMIT = 10_000;
/** The largest bill of materials, in bytes. One of ten thousand components has a few million. */
const LARGEST_BILL = 16 * 1024 * 1024;

/** Adds the JSON API of administration. */
export function adminRoutes(router: Router, options: AdminOptions): void {
  const { governance, inquiry, guard, clock, longestException } = options;
  const { policy, exceptions, quarantine, reports, decisions, downloads } = governance;
  const add = (method: 'get' | 'post' | 'patch' | 'delete', path: string, answer: Answer): void =>
    void router[method](ROOT + path, guard, async (ctx) => {
      ctx.body = await answer(ctx);
    });
  const get = (path: string, answer: Answer): void => add('get', path, answer);
  /** Adds a route that changes what policy decides. */
  const change = (method: 'post' | 'patch' | 'delete', path: string, answer: Answer): void =>
    add(method, path, async (ctx) => {
      const answered = await answer(ctx);
      await governance.refresh();
      return answered;
    });

  /** The form that was sent, signed with the administrator's name where they were authenticated by name. */
  async function formOf(ctx: Context): Promise<unknown> {
    const form = await readValue(ctx.req);
    const { name } = administratorOf(ctx);
    return name === undefined || typeof form !== 'object' || form === null ? form : { ...form, by: name };
  }

  get('/policy', () => policy.status());
  add('post', '/policy/simulate', async (ctx) => {
    const { document, problems } = checkDocument(await readValue(ctx.req), 'policy');
    if (problems !== undefined)
      throw new EntrepotError('bad-request', problems.map(({ path, message }) => `${path}: ${message}`).join('\n'));
    return simulatePolicy(inquiry, document, numberOf(ctx, 'days', 30, 3650));
  });

  get('/exceptions', async (ctx) => {
    const asked = (name: string) => textOf(ctx, name);
    const filter = {
      active: asked('active'),
      kind: asked('kind'),
      advisory: asked('advisory'),
      endsWithin: asked('endsWithin'),
    };
    return { exceptions: selectExceptions(await exceptions.list(), filter, clock.now()) };
  });
  get('/exceptions/:id', async (ctx) => there(await exceptions.find(parameterOf(ctx, 'id')), 'exception'));
  change('post', '/exceptions', async (ctx) => {
    const exception = exceptionOf(await formOf(ctx), clock.now(), longestException);
    await exceptions.add(exception);
    ctx.status = 201;
    return exception;
  });
  change('post', '/exceptions/:id/approve', async (ctx) => {
    const { by } = fieldsOf(await formOf(ctx), ['by']);
    const approve = (one: KeptException) => ({ ...one, approvedBy: [...new Set([...one.approvedBy, by])] });
    return there(await exceptions.alter(parameterOf(ctx, 'id'), approve), 'exception');
  });
  change('patch', '/exceptions/:id', async (ctx) => {
    const form = exceptionChangeOf(await formOf(ctx));
    const change = (one: KeptException) => changedException(one, form, clock.now(), longestException);
    return there(await exceptions.alter(parameterOf(ctx, 'id'), change), 'exception');
  });
  change('delete', '/exceptions/:id', async (ctx) => {
    there(await exceptions.remove(parameterOf(ctx, 'id')), 'exception');
    return {};
  });

  get('/quarantine', async (ctx) => {
    const state = ctx.query['state'];
    if (state !== undefined && state !== 'held' && state !== 'released' && state !== 'denied')
      throw new EntrepotError('bad-request', 'state: expected held, released or denied');
    const now = clock.now();
    const found = await quarantine.list(numberOf(ctx, 'limit', 1_000, MAX_LIMIT), state);
    // Others were released by time, and not asked for since.
    const current = found.filter((one) => one.state !== 'held' || one.until === undefined || one.until > now);
    return { quarantine: current.map(withPurl) };
  });
  change('post', '/quarantine/release', async (ctx) => {
    const form = fieldsOf(await formOf(ctx), ['repository', 'purl', 'by', 'reason'], ['expires', 'rules']);
    const { by, reason, expires } = form;
    const subject = subjectOf(form);
    const held = await quarantine.find(subject);
    const now = clock.now();
    const rules = form.rules === undefined ? held?.rules : form.rules.split(',');
    if (rules === undefined || rules.length === 0)
      throw new EntrepotError('bad-request', 'rules: expected the ids of rules; it is not held, so they are not known');
    const exception = exceptionOf(
      {
        repositories: [subject.repository],
        purl: [packageUrl(subject.coordinates)],
        rules,
        reason: `released from quarantine: ${reason}`.slice(0, 500),
        by,
        expires: expires ?? new Date(now + longestException).toISOString(),
      },
      now,
      longestException,
    );
    await exceptions.add(exception);
    await quarantine.decide(subject, { state: 'released', by, at: now, note: reason });
    return { exception };
  });
  change('post', '/quarantine/deny', async (ctx) => {
    const form = fieldsOf(await formOf(ctx), ['repository', 'purl', 'by', 'reason']);
    const { by, reason: note } = form;
    await quarantine.decide(subjectOf(form), { state: 'denied', by, at: clock.now(), note });
    return {};
  });
  change('post', '/quarantine/forget', async (ctx) => {
    const form = fieldsOf(await readValue(ctx.req), ['repository', 'purl']);
    there(await quarantine.remove(subjectOf(form)), 'row in the quarantine');
    return {};
  });

  get('/scans', async (ctx) => {
    const names = Object.keys(PRIORITIES);
    const jobs = await reports.jobs(numberOf(ctx, 'limit', 100, MAX_LIMIT));
    return {
      scanners: governance.scanners.map(({ id, scanner }) => ({
        id,
        ecosystems: scanner.subjects.ecosystems,
        revision: scanner.revision(),
        databaseDate: scanner.databaseDate?.(),
      })),
      waitingClients: governance.desk.waiting,
      ...(await reports.counts()),
      jobs: jobs.map((job) => ({ ...withPurl(job), priority: names[job.priority] })),
    };
  });
  get('/advisories', async (ctx) => {
    const found = await reports.newestFindings(numberOf(ctx, 'limit', 100, MAX_LIMIT));
    return { reports: found.map(withPurl) };
  });
  get('/decisions', async (ctx) => {
    const purl = textOf(ctx, 'purl');
    await governance.flush();
    return {
      decisions: await decisions.list({
        coordinates: purl === undefined ? undefined : parsePackageUrl(purl),
        repository: textOf(ctx, 'repository'),
        limit: numberOf(ctx, 'limit', 100, MAX_LIMIT),
      }),
    };
  });
  get('/explain', async (ctx) => {
    await governance.flush();
    const coordinates = parsePackageUrl(textOf(ctx, 'purl') ?? '');
    return { explanations: await inquiry.explain(coordinates, { repository: textOf(ctx, 'repository') }) };
  });
  get('/impact', async (ctx) => {
    await governance.flush();
    const [purl, advisory] = [textOf(ctx, 'purl'), textOf(ctx, 'advisory') ?? textOf(ctx, 'vuln')];
    if ((purl === undefined) === (advisory === undefined))
      throw new EntrepotError('bad-request', 'expected either purl or advisory');
    const impact = await impactOf(
      inquiry,
      purl === undefined ? { advisory: advisory as string } : { coordinates: parsePackageUrl(purl) },
    );
    if (textOf(ctx, 'format') !== 'csv') return { ...impact, downloads: impact.downloads.map(withPurl) };
    ctx.type = 'text/csv; charset=utf-8';
    return csvOf(impact);
  });
  get('/vex', async () => vexOf(await exceptions.list(), clock.now()));
  change('post', '/vex', async (ctx) => {
    const expires = textOf(ctx, 'expires') ?? new Date(clock.now() + longestException).toISOString();
    expiryOf(expires, clock.now(), longestException);
    const forms = exceptionFormsOf(await readValue(ctx.req), expires, administratorOf(ctx).name);
    const made = forms.map((form) => exceptionOf(form, clock.now(), longestException));
    for (const exception of made) await exceptions.add(exception);
    ctx.status = 201;
    return { exceptions: made };
  });
  get('/sbom', async (ctx) => {
    await governance.flush();
    const days = numberOf(ctx, 'days', 30, 3650);
    const format = textOf(ctx, 'format') ?? 'cyclonedx';
    if (!Object.hasOwn(BILLS, format)) throw new EntrepotError('bad-request', 'format: expected cyclonedx or spdx');
    const found = await downloads.list({
      repository: textOf(ctx, 'repository'),
      caller: textOf(ctx, 'user'),
      since: clock.now() - days * DAY,
      limit: 100_000,
    });
    return BILLS[format as keyof typeof BILLS](found, clock.now());
  });
  add('post', '/sbom', async (ctx) => {
    const value = readJson(await readBody(ctx.req, LARGEST_BILL));
    return await judgeBill(inquiry, readBill(value), textOf(ctx, 'repository'));
  });
  // Names have slashes: what comes before the version and after the type is the name.
  get('/packages/:type/*name', async (ctx) => {
    const [, ecosystem = '', name = '', version = ''] =
      /^\/-\/api\/v1\/packages\/([^/]+)\/(.+)\/([^/]+)\/vulnerabilities$/.exec(ctx.path) ?? [];
    if (ecosystem === '')
      throw new EntrepotError('not-found', 'expected packages/<type>/<name>/<version>/vulnerabilities');
    const coordinates = { ecosystem: decoded(ecosystem), name: decoded(name), version: decoded(version) };
    const found = await inquiry.findings(coordinates);
    const now = clock.now();
    const inForce = (await exceptions.list()).filter(({ active, expiresAt }) => active && expiresAt > now);
    return { ...severityCounts(coordinates, found, inForce), scanned: await inquiry.isScanned(coordinates) };
  });
}

/** Passes on what was found. @throws EntrepotError `not-found` where that is nothing */
function there<T>(found: T | undefined | false, what: string): T {
  if (found === undefined || found === false) throw new EntrepotError('not-found', `There is no such ${what}`);
  return found;
}

function subjectOf({ repository, purl }: Readonly<Record<'repository' | 'purl', string>>) {
  return { repository, coordinates: parsePackageUrl(purl) };
}

function withPurl<T extends { readonly coordinates: PackageCoordinates }>(one: T) {
  return { ...one, purl: packageUrl(one.coordinates) };
}

function csvOf({ downloads }: Impact): string {
  const lines = downloads.map(({ repository, coordinates, digest, caller, address, firstAt, lastAt, times }) => {
    const instants = [firstAt, lastAt].map((at) => new Date(at).toISOString());
    const cells = [repository, packageUrl(coordinates), digest, caller, address, ...instants, String(times)];
    return cells.map(cell).join(',');
  });
  return `${['repository,purl,digest,caller,address,first,last,times', ...lines].join('\r\n')}\r\n`;
}

/** RFC 4180; and what a spreadsheet would take for a formula is text. */
function cell(text = ''): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
