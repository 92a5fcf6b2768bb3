import { EntrepotError, type ReadingContext, type Resource, type Root, type Roots, type Route } from '@entrepot/core';
import { mainOf, type Generations } from './generations.js';
import type { Format, Listing } from './format.js';
import { notThere, type RepositoryProxy } from './proxy.js';
import { atUpstream } from './at-mirrors.js';
import { renew } from './renew.js';
import {
  GENERATIONS,
  generations,
  generationsKey,
  indexKey,
  INDEXES,
  listing,
  pointerKey,
  rootsOf,
} from './resources.js';
import { withJitter } from './status.js';

/** The time after its last use for which a root is refreshed by itself; milliseconds. */
const WARM_FOR = 14 * 86_400_000;

/** The roots of a proxy of any of the formats. */
export const ROOTS: Roots<RepositoryProxy> = {
  async list(context, self) {
    const kept = rootsOf(await context.keys(GENERATIONS));
    const roots: Root[] = [];
    for (const name of kept) {
      const found = await context.document<Generations>(generations(name, 'never')).catch(notThere);
      if (found !== undefined) roots.push(rootOf(name, found.document, context.now, self));
    }
    const others = [...self.options.frozen.keys()].filter((name) => !kept.includes(name));
    const pending = Array.from(self.roots.pending).filter(([name]) => !kept.includes(name));
    return [
      ...roots,
      ...others.map((name): Root => ({ name, state: 'frozen' })),
      ...pending.map(([name, { since, error }]): Root => ({ name, state: 'pending', since, error })),
    ];
  },

  async refresh(name, context, self) {
    const kept = rootsOf(await context.keys(GENERATIONS));
    if (self.options.frozen.has(name))
      throw new EntrepotError(
        'conflict',
        `${name} is frozen: no mirror is asked for it. Remove it from "frozen" first`,
      );
    if (!kept.includes(name)) {
      const isPending = Array.from(self.roots.pending).some(([other]) => other === name);
      const others = kept.map((one) => one || '.').join(', ') || 'none';
      if (!isPending)
        throw new EntrepotError('not-found', `no client has asked for ${name || '.'}; expected one of ${others}`);
    }
    return rootOf(name, await renew(name, context), context.now, self);
  },

  async heldKeys(context, self) {
    const indexes = new Set(await context.keys(INDEXES));
    const held = new Set<string>();
    for (const root of rootsOf(await context.keys(GENERATIONS))) {
      const found = await context.document<Generations>(generations(root, 'never')).catch(notThere);
      if (found === undefined || found.document.status.state === 'removed') continue;
      held.add(generationsKey(root));
      for (const { pointers } of found.document.list) {
        for (const sha256 of Object.values(pointers)) held.add(pointerKey(sha256));
        if (self.format.read === undefined) continue;
        const { name, sha256 } = mainOf(self.format, root, pointers);
        const read = await context.document<Listing>(listing(root, name, sha256)).catch(notThere);
        for (const { integrity } of read?.document.files.values() ?? []) {
          const key = indexKey(integrity);
          if (indexes.has(key)) held.add(key);
        }
      }
    }
    return held;
  },
};

function rootOf(name: string, { list, status }: Generations, now: number, self: RepositoryProxy): Root {
  const [current] = list;
  const { state, since, triedAt, error } = status;
  const usedAt = Math.max(status.usedAt, self.roots.lastUse(name) ?? 0);
  const isFrozen = self.options.frozen.has(name);
  return {
    name,
    state: isFrozen ? 'frozen' : state,
    since,
    generation: current?.id,
    publishedAt: current?.at,
    date: current?.date,
    triedAt,
    usedAt,
    error,
    dueAt: isFrozen || now - usedAt > WARM_FOR ? undefined : dueAt(name, status, self.refreshInterval),
  };
}

function dueAt(name: string, { state, triedAt, retryAt }: Generations['status'], interval: number): number | undefined {
  if (state === 'removed' || interval === 0) return undefined;
  return retryAt ?? triedAt + withJitter(interval, `${name} ${triedAt}`);
}

/** Lists the keys of all that is kept of a root: with them gone, the next client has it fetched anew. */
export async function keysOfRoot(root: string, context: ReadingContext, self: RepositoryProxy): Promise<string[]> {
  const found = await context.document<Generations>(generations(root, 'never')).catch(notThere);
  if (found === undefined) return [];
  const keys = new Set([generationsKey(root)]);
  for (const { pointers } of found.document.list)
    for (const [name, sha256] of Object.entries(pointers)) {
      keys.add(pointerKey(sha256));
      keys.add(atUpstream(self, root, name, { of: signedBy(name, pointers, self.format) }).key);
    }
  return [...keys];
}

/** The SHA-256 of the document that a detached signature is for. `undefined`: `name` is none. */
function signedBy(name: string, pointers: Readonly<Record<string, string>>, format: Format): string | undefined {
  const signed = Object.keys(pointers).find((other) => {
    const signature = format.signatureOf(other);
    return typeof signature === 'object' && signature.detached === name;
  });
  return signed && pointers[signed];
}

/** Lists the keys of what is kept for a path: of a root, or of the one thing that `find` finds. */
export async function keysAt(
  { attributes }: Resource,
  context: ReadingContext,
  self: RepositoryProxy,
  find: () => Promise<Route | undefined>,
): Promise<readonly string[]> {
  const path = attributes?.['path'] as string;
  if (rootsOf(await context.keys(GENERATIONS)).includes(path)) return await keysOfRoot(path, context, self);
  const found = await find().catch(notThere);
  return found !== undefined && 'key' in found ? [found.key] : [];
}

/** Headers that tell how a root stands, for the reply with one of its pointer documents. */
export function stateHeaders(
  { attributes }: Resource,
  self: RepositoryProxy,
): Readonly<Record<string, string>> | undefined {
  const { root, asOf } = attributes as { root: string; asOf?: number };
  const served = asOf === undefined && !self.options.frozen.has(root) ? self.roots.servedAs(root) : undefined;
  if (served === undefined) return undefined;
  const { state, generation } = served;
  return { 'X-Cache-Generation': generation, ...(state !== 'active' && { 'X-Cache-State': state }) };
}
