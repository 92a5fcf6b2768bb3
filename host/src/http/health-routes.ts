import type Router from '@koa/router';
import type { Clock, Logger } from '@entrepot/core';
import { within } from '../plugins/problem.js';
import { sendJson } from './send-json.js';

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

/** Paths of probes. */
export const PROBES: readonly string[] = ['/-/livez', '/-/readyz'];

/** Probes come often and from many sides; storage is asked once in this time, in milliseconds. */
const REMEMBER = 2_000;
/** A check that takes longer counts as failed, in milliseconds. Shorter together than probes are usually waited for. */
const CHECK_TIMEOUT = 2_000;

type Verdict = 'ok' | 'degraded' | 'starting' | 'failed';
type Verdicts = Readonly<Record<string, Verdict>>;

/**
 * `/-/livez`: the process answers. `/-/readyz`: it can serve, and more requests may be sent; `degraded` where it can serve what is kept, but
 * keep nothing more.
 */
export function healthRoutes(router: Router, options: HealthOptions): void {
  const readiness = createReadiness(options);
  router.get('/-/livez', (ctx) => {
    sendJson(ctx, { status: 'ok' });
    ctx.set('Cache-Control', 'no-store');
  });
  router.get('/-/readyz', async (ctx) => {
    const checks = await readiness();
    const status = options.isDraining() ? 'draining' : worst(Object.values(checks));
    ctx.status = status === 'ok' || status === 'degraded' ? 200 : 503;
    sendJson(ctx, { status, checks });
    ctx.set('Cache-Control', 'no-store');
  });
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
