import { EntrepotError, type Clock, type Logger } from '@entrepot/core';
import type { Context } from 'koa';
import type { ApiKeys } from '../access/api-keys.js';
import { isWithin, patternProblem, type ScopedRepository } from '../access/key-scopes.js';
import { type KeyScope, type SqlKeyStore, type StoredKey } from '../drivers/sql/key-store.js';
import { json } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import { expiryOf } from '../policy/exception-form.js';
import { administratorOf } from './admin-access.js';
import type { Administrator } from './administration.js';
import { KEYS, type KeyView } from './key-operations.js';

/** The longest life of a key that expires, in milliseconds: a hundred years. */
const LONGEST = 36_500 * 86_400_000;

export interface KeyRoutesOptions {
  readonly keys: ApiKeys;
  readonly store: SqlKeyStore;
  /** The repositories that are served. */
  readonly repositories: readonly ScopedRepository[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Adds keys to the API of administration: POST makes one, whose secret is in the answer and nowhere else; GET lists them or shows one;
 * PATCH limits one; DELETE revokes it. Whoever has a key sees and changes those alone that may do no more than it.
 */
export function keyRoutes(operations: Operations, options: KeyRoutesOptions): void {
  const { keys, store, repositories, clock, logger } = options;

  operations.add(KEYS.list, async ({ query: { limit, after }, ctx }) => {
    const found = await store.list(after, limit);
    const shown = found.filter((key) => isReached(administratorOf(ctx), key.scopes));
    const last = found.length < limit ? undefined : found.at(-1);
    return json(200, { keys: shown.map(viewOf), next: last?.name });
  });

  operations.add(KEYS.create, async ({ body: { by, expires, ...form }, ctx }) => {
    const administrator = administratorOf(ctx);
    requireScopes(administrator, form.scopes);
    const expiresAt = endOf(administrator, expires ?? null);
    const { key, secret } = await keys.create({ ...form, createdBy: administrator.name ?? by, expiresAt });
    logger.info({ by: key.createdBy, key: key.name, id: key.id }, 'a key was made');
    return json(201, { key: viewOf(key), secret });
  });

  operations.add(KEYS.get, async ({ parameters: { id }, ctx }) => {
    const key = await store.find(id);
    if (key === undefined || !isReached(administratorOf(ctx), key.scopes)) throw missing();
    return json(200, viewOf(key));
  });

  operations.add(KEYS.change, async ({ parameters: { id }, body: { expires, ...form }, ctx }) => {
    const administrator = administratorOf(ctx);
    if (form.scopes !== undefined) requireScopes(administrator, form.scopes);
    const key = await change(ctx, id, (found) => {
      const { scopes = found.scopes, note = found.note } = form;
      if (expires !== undefined) return { ...found, scopes, note, expiresAt: endOf(administrator, expires) };
      // A key that outlives the administrator's own may be limited, and not be given more.
      if (!isWithin(scopes, found.scopes, repositories)) requireEnd(administrator, found.expiresAt);
      return { ...found, scopes, note };
    });
    logger.info({ by: administrator.name, key: key.name, id: key.id }, 'a key was changed');
    return json(200, viewOf(key));
  });

  operations.add(KEYS.revoke, async ({ parameters: { id }, ctx }) => {
    const key = await change(ctx, id, (found) => ({ ...found, revokedAt: clock.now() }));
    logger.info({ by: administratorOf(ctx).name, key: key.name, id: key.id }, 'a key was revoked');
    return json(200, viewOf(key));
  });

  /** @throws EntrepotError `not-found` for a key that is not there, or out of reach */
  async function change(ctx: Context, id: string, alter: (found: StoredKey) => StoredKey): Promise<StoredKey> {
    const key = await keys.alter(id, (found) => {
      if (!isReached(administratorOf(ctx), found.scopes)) throw missing();
      return alter(found);
    });
    if (key === undefined) throw missing();
    return key;
  }

  function isReached({ key }: Administrator, scopes: readonly KeyScope[]): boolean {
    return key === undefined || isWithin(scopes, ownScopes(key), repositories);
  }

  /** @throws EntrepotError `bad-request` for patterns that are none; `forbidden` for more than the administrator's own key may */
  function requireScopes(administrator: Administrator, scopes: readonly KeyScope[]): void {
    const problem = scopes.map((scope) => patternProblem(scope, repositories)).find((one) => one !== undefined);
    if (problem !== undefined) throw new EntrepotError('bad-request', `scopes: names: ${problem}`);
    if (isReached(administrator, scopes)) return;
    throw new EntrepotError(
      'forbidden',
      `scopes: expected scopes within those of ${administrator.name}; a key cannot make one that may do more`,
      { code: 'KEY_SCOPE' },
    );
  }

  /** The end of a key: not after that of the key that makes it. @param expires `null`: as late as may be */
  function endOf(administrator: Administrator, expires: string | null): number | undefined {
    const { expiresAt: own = Infinity } = administrator.key ?? {};
    if (expires === null) return own === Infinity ? undefined : own;
    const at = expiryOf(expires, clock.now(), LONGEST);
    requireEnd(administrator, at);
    return at;
  }

  /** @throws EntrepotError `forbidden` for a key that would outlive that of the administrator */
  function requireEnd({ key, name }: Administrator, at = Infinity): void {
    if (key === undefined || at <= key.expiresAt) return;
    const end = new Date(key.expiresAt).toISOString();
    throw new EntrepotError('forbidden', `expires: expected at most ${end}, when ${name} itself expires`, {
      code: 'KEY_SCOPE',
    });
  }

  function viewOf(key: StoredKey): KeyView {
    const { id, name, scopes, note, createdAt, createdBy, expiresAt } = key;
    const usedAt = keys.usedAt(key);
    return { id, name, scopes: scopes as KeyView['scopes'], note, createdAt, createdBy, expiresAt, usedAt };
  }
}

/** The rights that a key may pass on: its own, as far as it administers. */
function ownScopes({ scopes }: { readonly scopes: readonly KeyScope[] }): readonly KeyScope[] {
  return scopes.filter(({ may }) => may === 'admin');
}

function missing(): EntrepotError {
  return new EntrepotError('not-found', 'There is no such key; GET /-/api/v1/keys lists those that there are');
}
