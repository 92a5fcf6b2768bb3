import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { EntrepotError, type Clock, type Logger } from '@entrepot/core';
import { nearest, type StoredKeys } from '@entrepot/core/engine';
import type Router from '@koa/router';
import type { Context, Middleware } from 'koa';
import type { Pin } from '../drivers/sql/pin-store.js';
import { readValue } from '../http/read-body.js';
import { isRequest } from '../http/request-subject.js';
import { keysSelector, parseSelector, subjectOfKeys, type Selector } from '../space/selector.js';
import type { Space } from '../space/space.js';
import { administratorOf } from './admin-access.js';
import { numberOf, parameterOf, textOf } from './admin-input.js';
import { pinForm, purgeForm, readForm } from './space-forms.js';

export interface SpaceRoutesOptions {
  readonly space: Space;
  /** Finds what is stored for the path or the URL of a request. */
  readonly storedFor: (text: string, request: IncomingMessage) => Promise<StoredKeys>;
  /** Admits administrators. */
  readonly guard: Middleware;
  readonly clock: Clock;
  readonly logger: Logger;
}

const ROOT = '/-/api/v1';
const MOST_PACKAGES = 10_000;
/** The longest that an answer waits for the end of a purge, in milliseconds. */
const PATIENCE = 2_000;

/**
 * Adds purging, pins and usage to the JSON API of administration. `POST /purge` answers when the purge has ended, or after a while, when
 * its `state` is `running`; `GET /purge/<id>` then tells how far it is, DELETE ends it.
 */
export function spaceRoutes(router: Router, { space, storedFor, guard, clock, logger }: SpaceRoutesOptions): void {
  router.post(`${ROOT}/purge`, guard, async (ctx) => {
    const { by, ...form } = readForm(purgeForm, await readValue(ctx.req));
    const selector = await selectorOf(ctx, form.subject);
    const { id } = space.purging.begin({ ...form, selector, by: administratorOf(ctx).name ?? by });
    const status = await space.purging.find(id, PATIENCE);
    ctx.body = status;
    if (status.state === 'running') ctx.status = 202;
  });
  router.get(`${ROOT}/purge/:id`, guard, async (ctx) => {
    ctx.body = await space.purging.find(parameterOf(ctx, 'id'), PATIENCE);
  });
  router.delete(`${ROOT}/purge/:id`, guard, async (ctx) => {
    ctx.body = await space.purging.cancel(parameterOf(ctx, 'id'));
  });

  router.get(`${ROOT}/pins`, guard, async (ctx) => {
    ctx.body = { pins: await space.pinStore.list() };
  });
  router.post(`${ROOT}/pins`, guard, async (ctx) => {
    const { subject, note, by, dryRun } = readForm(pinForm, await readValue(ctx.req));
    const { repository, keys } = await selectorOf(ctx, subject);
    const pinned = keys === undefined ? subject : subjectOfKeys(repository as string, keys);
    const known = (await space.pinStore.list()).find((pin) => pin.subject === pinned);
    const madeBy = administratorOf(ctx).name ?? by;
    const pin: Pin = known ?? { id: randomUUID(), subject: pinned, madeAt: clock.now(), madeBy, note };
    ctx.body = pin;
    if (known !== undefined || dryRun) return;
    await space.pinStore.add(pin);
    space.pins.changed();
    logger.info({ by: madeBy, subject: pinned, id: pin.id }, 'pinned');
    ctx.status = 201;
  });
  router.delete(`${ROOT}/pins/:id`, guard, async (ctx) => {
    const id = parameterOf(ctx, 'id');
    const pin = (await space.pinStore.list()).find((one) => one.id === id);
    if (pin === undefined) throw new EntrepotError('not-found', 'There is no such pin; expected the id of one of pins');
    ctx.body = pin;
    if (textOf(ctx, 'dryRun') === 'true') return;
    await space.pinStore.remove(id);
    space.pins.changed();
    logger.info({ by: administratorOf(ctx).name, subject: pin.subject, id }, 'unpinned');
  });

  router.get(`${ROOT}/usage`, guard, async (ctx) => {
    ctx.body = await space.report.overview();
  });
  router.get(`${ROOT}/usage/packages`, guard, async (ctx) => {
    const limit = numberOf(ctx, 'limit', 100, MOST_PACKAGES);
    ctx.body = { packages: await space.entryUsage.packages(await repositoryOf(ctx), limit) };
  });
  router.get(`${ROOT}/usage/ages`, guard, async (ctx) => {
    const ages = await space.entryUsage.ages(await repositoryOf(ctx), clock.now());
    ctx.body = { ages: Array.from(ages, ([age, usage]) => ({ age, ...usage })) };
  });

  /** Reads a subject. @throws EntrepotError `bad-request`, `not-found` */
  async function selectorOf(ctx: Context, subject: string): Promise<Selector> {
    if (isRequest(subject)) {
      const { repository, keys } = await storedFor(subject, ctx.req);
      return keysSelector(repository, keys);
    }
    const selector = parseSelector(subject);
    if (selector.repository !== undefined) await requireRepository(selector.repository);
    return selector;
  }

  async function repositoryOf(ctx: Context): Promise<string | undefined> {
    const repository = textOf(ctx, 'repository');
    if (repository !== undefined) await requireRepository(repository);
    return repository;
  }

  /** @throws EntrepotError `bad-request` for a name that no repository has, and of which nothing is left */
  async function requireRepository(name: string): Promise<void> {
    const names = (await space.report.overview()).repositories.map((one) => one.name);
    if (names.includes(name)) return;
    const meant = nearest(name, names);
    const hint = meant === undefined ? `expected one of ${names.join(', ')}` : `did you mean ${meant}?`;
    throw new EntrepotError('bad-request', `there is no repository ${JSON.stringify(name.slice(0, 100))}; ${hint}`);
  }
}
