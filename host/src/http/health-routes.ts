import type Router from '@koa/router';
import type { Clock, Logger } from '@entrepot/core';

/** Something that must work for the server to be of use. */
export interface ReadinessCheck {
  /** Shown to whoever asks: `blobs`, `entries`. */
  readonly name: string;
  /** Rejects when it does not work now. */
  check(): Promise<void>;
}

/** What readiness depends on. */
export interface HealthOptions {
  readonly checks: readonly ReadinessCheck[];
  /** Whether the server is about to stop. */
  readonly isDraining: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Probes come often and from many sides; storage is asked once in this time, in milliseconds. */
const REMEMBER = 2_000;
/** A check that takes longer counts as failed, in milliseconds. */
const CHECK_TIMEOUT = 5_000;

type Verdicts = Readonly<Record<string, 'ok' | 'failed'>>;

/** `/-/livez`: the process answers. `/-/readyz`: it can serve, and more requests may be sent. */
export function healthRoutes(router: Router, options: HealthOptions): void {
  const readiness = createReadiness(options);
  router.get('/-/livez', (ctx) => {
    ctx.body = { status: 'ok' };
    ctx.set('Cache-Control', 'no-store');
  });
  router.get('/-/readyz', async (ctx) => {
    const checks = await readiness();
    const draining = options.isDraining();
    const ready = !draining && Object.values(checks).every((verdict) => verdict === 'ok');
    ctx.status = ready ? 200 : 503;
    ctx.body = { status: draining ? 'draining' : ready ? 'ok' : 'failed', checks };
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
          await inTime(each.check());
          return [each.name, 'ok'] as const;
        } catch (error) {
          logger.error({ err: error, check: each.name }, 'readiness check failed');
          return [each.name, 'failed'] as const;
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

async function inTime(check: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  try {
    await Promise.race([
      check,
      new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`still running after ${CHECK_TIMEOUT} ms`)), CHECK_TIMEOUT);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}
