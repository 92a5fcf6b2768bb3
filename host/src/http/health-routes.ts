import type { Clock, Logger } from '@entrepot/core';
import type { Context } from 'koa';
import { z } from 'zod';
import { within } from '../plugins/problem.js';
import { json, operation } from './operations/operation.js';
import type { Operations } from './operations/operations.js';
import { named } from './operations/schemas.js';

/** Something that must work for the server to be of use. */
export interface ReadinessCheck {
  /** The public name: `blobs`, `entries`. */
  readonly name: string;
  /** Rejects when it does not work now. `starting`: it does not work yet, and nothing is wrong with that. */
  check(): Promise<'starting' | void>;
  /** Asked when `check` fails: resolves when what is kept can still be served. Absent: it cannot. */
  checkReading?(): Promise<void>;
}

export interface HealthOptions {
  readonly checks: readonly ReadinessCheck[];
  /** Whether the server is about to stop. */
  readonly isDraining: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

const liveness = named('Liveness', 'An answer of a process that runs.', z.object({ status: z.literal('ok') }));
const readiness = named(
  'Readiness',
  'Whether a server can serve.',
  z.object({
    status: z.enum(['ok', 'degraded', 'starting', 'failed', 'draining']),
    checks: z
      .record(z.string(), z.enum(['ok', 'degraded', 'starting', 'failed']))
      .describe('By name: blobs, entries, scanners.'),
  }),
);

function live<const Id extends string, const Path extends string>(id: Id, path: Path) {
  return operation({
    id,
    tag: 'server',
    summary: 'Answers while the process runs.',
    method: 'get',
    path,
    access: 'everybody',
    query: 'ignored',
    replies: { 200: { description: 'It runs.', json: liveness } },
  });
}

function ready<const Id extends string, const Path extends string>(id: Id, path: Path) {
  return operation({
    id,
    tag: 'server',
    summary: 'Tells whether more requests may be sent.',
    description: '`degraded`: what is kept is served, and nothing more can be kept.',
    method: 'get',
    path,
    access: 'everybody',
    query: 'ignored',
    replies: {
      200: { description: 'It can serve.', json: readiness },
      503: { description: 'It cannot, or is about to stop.', json: readiness },
    },
  });
}

/** Operations for probes. */
export const LIVE = [live('getLivez', '/-/livez'), live('getHealthLive', '/health/live')] as const;
export const READY = [
  ready('getReadyz', '/-/readyz'),
  ready('getHealth', '/health'),
  ready('getHealthReady', '/health/ready'),
] as const;

/** Paths of probes. */
export const PROBES: readonly string[] = [...LIVE, ...READY].map(({ path }) => path);

/** Probes come often and from many sides; storage is asked once in this time, in milliseconds. */
const REMEMBER = 2_000;
/** A check that takes longer counts as failed, in milliseconds. Shorter together than probes are usually waited for. */
const CHECK_TIMEOUT = 2_000;

type Verdict = 'ok' | 'degraded' | 'starting' | 'failed';
type Verdicts = Readonly<Record<string, Verdict>>;

/**
 * `/-/livez`: the process answers. `/-/readyz`: it can serve, and more requests may be sent; `degraded` where it can serve what is kept, but
 * keep nothing more. The paths below `/health` are other names of the same.
 */
export function healthRoutes(operations: Operations, options: HealthOptions): void {
  const readinessOf = createReadiness(options);
  for (const one of LIVE)
    operations.add(one, ({ ctx }) => {
      keepNowhere(ctx);
      return json(200, { status: 'ok' as const });
    });
  for (const one of READY)
    operations.add(one, async ({ ctx }) => {
      const checks = await readinessOf();
      keepNowhere(ctx);
      const status = options.isDraining() ? 'draining' : worst(Object.values(checks));
      const isReady = status === 'ok' || status === 'degraded';
      return isReady ? json(200, { status, checks }) : json(503, { status, checks });
    });
}

function keepNowhere(ctx: Context): void {
  ctx.set('Cache-Control', 'no-store');
}

function createReadiness({ checks, clock, logger }: HealthOptions): () => Promise<Verdicts> {
  let last: Promise<Verdicts> | undefined;
  let askedAt = 0;
  async function ask(): Promise<Verdicts> {
    const verdicts = await Promise.all(
      checks.map(async (each) => {
        try {
          return [each.name, (await inTime(each.check())) ?? 'ok'] as const;
        } catch (error) {
          logger.error({ err: error, check: each.name }, 'readiness check failed');
          return [each.name, await verdictOfReading(each)] as const;
        }
      }),
    );
    return Object.fromEntries(verdicts);
  }
  return () => {
    const now = clock.monotonic();
    if (last === undefined || now - askedAt >= REMEMBER) {
      askedAt = now;
      last = ask();
    }
    return last;
  };
}

async function verdictOfReading({ checkReading }: ReadinessCheck): Promise<Verdict> {
  if (checkReading === undefined) return 'failed';
  return await inTime(checkReading()).then(
    () => 'degraded',
    () => 'failed',
  );
}

function worst(verdicts: readonly Verdict[]): Verdict {
  return (['failed', 'starting', 'degraded'] as const).find((one) => verdicts.includes(one)) ?? 'ok';
}

async function inTime<T>(check: Promise<T>): Promise<T> {
  return await within(CHECK_TIMEOUT, check, () => new Error(`still running after ${CHECK_TIMEOUT} ms`));
}
