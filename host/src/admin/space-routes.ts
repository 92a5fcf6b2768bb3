import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { EntrepotError, type Clock, type Logger } from '@entrepot/core';
import { nearest, type StoredKeys } from '@entrepot/core/engine';
import type { Context } from 'koa';
import type { Pin } from '../drivers/sql/pin-store.js';
import { json } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import { isRequest } from '../http/request-subject.js';
import { keysSelector, parseSelector, subjectOfKeys, type Selector } from '../space/selector.js';
import type { Space } from '../space/space.js';
import { administratorOf } from './admin-access.js';
import { PINS, PURGE, USAGE } from './space-operations.js';

export interface SpaceRoutesOptions {
  readonly space: Space;
  /** Finds what is stored for the path or the URL of a request. */
  readonly storedFor: (text: string, request: IncomingMessage) => Promise<StoredKeys>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The longest that an answer waits for the end of a purge, in milliseconds. */
const PATIENCE = 2_000;

/**
 * Adds purging, pins and usage to the JSON API of administration. `POST /purge` answers when the purge has ended, or after a while, when
 * its `state` is `running`; `GET /purge/<id>` then tells how far it is, DELETE ends it.
 */
export function spaceRoutes(operations: Operations, { space, storedFor, clock, logger }: SpaceRoutesOptions): void {
  operations.add(PURGE.begin, async ({ body: { by, ...form }, ctx }) => {
    const selector = await selectorOf(ctx, form.subject);
    const { id } = space.purging.begin({ ...form, selector, by: administratorOf(ctx).name ?? by });
    const status = await space.purging.find(id, PATIENCE);
    return status.state === 'running' ? json(202, status) : json(200, status);
  });
  operations.add(PURGE.get, async ({ parameters: { id } }) => json(200, await space.purging.find(id, PATIENCE)));
  operations.add(PURGE.cancel, async ({ parameters: { id } }) => json(200, await space.purging.cancel(id)));

  operations.add(PINS.list, async () => json(200, { pins: await space.pinStore.list() }));
  operations.add(PINS.add, async ({ body: { subject, note, by, dryRun }, ctx }) => {
    const { repository, keys } = await selectorOf(ctx, subject);
    const pinned = keys === undefined ? subject : subjectOfKeys(repository as string, keys);
    const known = (await space.pinStore.list()).find((pin) => pin.subject === pinned);
    const madeBy = administratorOf(ctx).name ?? by;
    const pin: Pin = known ?? { id: randomUUID(), subject: pinned, madeAt: clock.now(), madeBy, note };
    if (known !== undefined || dryRun) return json(200, pin);
    await space.pinStore.add(pin);
    space.pins.changed();
    logger.info({ by: madeBy, subject: pinned, id: pin.id }, 'pinned');
    return json(201, pin);
  });
  operations.add(PINS.remove, async ({ parameters: { id }, query: { dryRun }, ctx }) => {
    const pin = (await space.pinStore.list()).find((one) => one.id === id);
    if (pin === undefined) throw new EntrepotError('not-found', 'There is no such pin; expected the id of one of pins');
    if (dryRun) return json(200, pin);
    await space.pinStore.remove(id);
    space.pins.changed();
    logger.info({ by: administratorOf(ctx).name, subject: pin.subject, id }, 'unpinned');
    return json(200, pin);
  });

  operations.add(USAGE.overview, async () => json(200, await space.report.overview()));
  operations.add(USAGE.packages, async ({ query: { repository, limit } }) => {
    await requireRepository(repository);
    return json(200, { packages: await space.entryUsage.packages(repository, limit) });
  });
  operations.add(USAGE.ages, async ({ query: { repository } }) => {
    await requireRepository(repository);
    const ages = await space.entryUsage.ages(repository, clock.now());
    return json(200, { ages: Array.from(ages, ([age, usage]) => ({ age, ...usage })) });
  });

  /** Reads a subject. @throws EntrepotError `bad-request`, `not-found` */
  async function selectorOf(ctx: Context, subject: string): Promise<Selector> {
    if (isRequest(subject)) {
      const { repository, keys } = await storedFor(subject, ctx.req);
      return keysSelector(repository, keys);
    }
    const selector = parseSelector(subject);
    await requireRepository(selector.repository);
    return selector;
  }

  /** @throws EntrepotError `bad-request` for a name that no repository has, and of which nothing is left */
  async function requireRepository(name: string | undefined): Promise<void> {
    if (name === undefined) return;
    const names = (await space.report.overview()).repositories.map((one) => one.name);
    if (names.includes(name)) return;
    const meant = nearest(name, names);
    const hint = meant === undefined ? `expected one of ${names.join(', ')}` : `did you mean ${meant}?`;
    throw new EntrepotError('bad-request', `there is no repository ${JSON.stringify(name.slice(0, 100))}; ${hint}`);
  }
}
