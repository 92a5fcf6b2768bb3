import { hostname } from 'node:os';
import { EntrepotError, messageOf } from '@entrepot/core';
import { Limiter } from '@entrepot/core/formats';
import type { SqlLeases } from '../drivers/sql/leases.js';
import type { SqlVerificationStore, VerificationPass } from '../drivers/sql/verification-store.js';
import { type HeldLease, holdLease } from './held-lease.js';
import { type Verified, Verifier, type VerifierServices, type VerifyOptions } from './verifier.js';

/** The lease of the process that verifies. */
const LEASE = 'verify';
/** The time after which it is tried again to heal what is damaged, in milliseconds. */
const RETRY_AFTER = 3_600_000;

/** How an administrator wants all blobs to be verified. */
export type VerifyRequest = Omit<VerifyOptions, 'resume'>;

/** A run, as far as it has come. */
export interface VerificationStatus extends Verified {
  readonly state: 'running' | 'done' | 'cancelled' | 'failed';
  readonly dryRun: boolean;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Milliseconds since the epoch. Absent while it is running. */
  readonly endedAt?: number | undefined;
  /** Why it has failed. */
  readonly error?: string | undefined;
}

export interface BackgroundOptions {
  /** Bytes a second; 0: nothing is verified in the background. */
  readonly rate: number;
  /** The time between the end of a run and the beginning of the next, in milliseconds. */
  readonly interval: number;
  readonly batchSize: number;
}

/** The runs of this process: the one under way, or else the last one. */
export interface Verifications {
  /** The one that an administrator asked for. */
  readonly asked?: VerificationStatus | undefined;
  readonly background?: VerificationStatus | undefined;
}

/** A run over all blobs, which an administrator asked for or is due; or another try at what is damaged. */
type Kind = keyof Verifications | 'retry';

interface Running {
  readonly kind: Kind;
  readonly stopping: AbortController;
  readonly ended: Promise<void>;
  readonly status: () => VerificationStatus;
}

/** Verifies all blobs: again and again in the background, and when an administrator asks for it. One process does at a time. */
export class Verification {
  readonly #services: VerifierServices;
  readonly #leases: SqlLeases;
  readonly #background: BackgroundOptions;
  readonly #beginning = new Limiter(1);
  #running: Running | undefined;
  #last: Verifications = {};
  #triedAt: number;
  #isClosed = false;

  constructor(services: Omit<VerifierServices, 'by'>, leases: SqlLeases, background: BackgroundOptions) {
    this.#services = { ...services, by: `${hostname()} (process ${process.pid})` };
    this.#leases = leases;
    this.#background = background;
    this.#triedAt = services.clock.monotonic();
  }

  get status(): Verifications {
    const running = this.#running;
    return running === undefined || running.kind === 'retry'
      ? this.#last
      : { ...this.#last, [running.kind]: running.status() };
  }

  /** Counts the entries whose bytes are damaged or missing, by repository. */
  lostEntries(): ReturnType<SqlVerificationStore['lostEntries']> {
    return this.#services.store.lostEntries();
  }

  /**
   * Begins a run over all blobs. One in the background makes way for it.
   * @throws EntrepotError `conflict` while another one runs that was asked for, here or in another process
   */
  begin(request: VerifyRequest): Promise<VerificationStatus> {
    return this.#beginning.run(async () => {
      if (this.#running?.kind === 'asked')
        throw new EntrepotError('conflict', 'a verification is running already; wait for its end, or cancel it');
      await this.#stop();
      const begun = await this.#start('asked', { ...request, resume: false });
      if (begun !== undefined) return begun;
      const by = (await this.#services.store.pass())?.by ?? 'another process';
      throw new EntrepotError('conflict', `${by} verifies the blobs already; ask that server, or wait for its end`);
    });
  }

  /**
   * Ends the run that was asked for. What it has found stays found.
   * @returns its report; `undefined`: there is none
   */
  async cancel(): Promise<VerificationStatus | undefined> {
    if (this.#running?.kind !== 'asked') return undefined;
    await this.#stop();
    return this.#last.asked;
  }

  /** Waits for the end of the run that is under way. */
  async finished(): Promise<Verifications> {
    await this.#running?.ended;
    return this.#last;
  }

  /** Begins what is due in the background. */
  tick(): Promise<void> {
    return this.#beginning.run(async () => {
      if (this.#running !== undefined) return;
      const { clock, store } = this.#services;
      const isDue = this.#isDue(await store.pass(), clock.now());
      const isRetryDue = clock.monotonic() - this.#triedAt >= RETRY_AFTER;
      if (!isDue && !isRetryDue) return;
      this.#triedAt = clock.monotonic();
      const { rate, batchSize } = this.#background;
      const options = { dryRun: false, heal: true, resume: true, rate, batchSize };
      await this.#start(isDue ? 'background' : 'retry', options);
    });
  }

  #isDue(last: VerificationPass | undefined, now: number): boolean {
    if (last?.endedAt === undefined) return true;
    // A clock that was ahead says nothing.
    return last.endedAt > now || now - last.endedAt >= this.#background.interval;
  }

  /** @returns `undefined` while another process verifies */
  async #start(kind: Kind, options: VerifyOptions): Promise<VerificationStatus | undefined> {
    const { clock } = this.#services;
    if (this.#isClosed) throw new EntrepotError('storage', 'the server is shutting down', { status: 503 });
    // A run that changes nothing is in nobody's way.
    const lease = options.dryRun ? undefined : await holdLease(this.#leases, LEASE);
    if (lease === undefined && !options.dryRun) return undefined;
    const stopping = new AbortController();
    const signal = lease === undefined ? stopping.signal : AbortSignal.any([stopping.signal, lease.signal]);
    const verifier = new Verifier(this.#services, options, signal);
    const begun = { state: 'running', dryRun: options.dryRun, startedAt: clock.now() } as const;
    const status = (): VerificationStatus => ({ ...begun, ...verifier.report });
    const running = { kind, stopping, status };
    const run = kind === 'retry' ? verifier.retry() : verifier.run();
    this.#running = { ...running, ended: this.#end(run, running, lease) };
    return status();
  }

  /** Waits for the end of a run, and keeps its report. */
  async #end(
    run: Promise<void>,
    { kind, status, stopping }: Omit<Running, 'ended'>,
    lease: HeldLease | undefined,
  ): Promise<void> {
    const { clock, logger } = this.#services;
    const end = (state: 'done' | 'cancelled' | 'failed', error?: string): void => {
      const last: VerificationStatus = { ...status(), state, error, endedAt: clock.now() };
      if (kind !== 'retry') this.#last = { ...this.#last, [kind]: last };
      const { hosted, proxied, ...counts } = last;
      const lost = { hosted: hosted.count, proxied: proxied.count };
      if (state === 'failed') logger.warn({ ...counts, ...lost }, 'the blobs could not be verified');
      else logger.info({ ...counts, ...lost }, 'the blobs were verified');
    };
    try {
      await run;
      end('done');
    } catch (error) {
      if (stopping.signal.aborted) end('cancelled');
      else end('failed', messageOf(error));
    } finally {
      this.#running = undefined;
      await lease?.release();
    }
  }

  async #stop(): Promise<void> {
    this.#running?.stopping.abort();
    await this.#running?.ended;
  }

  /** Ends what is running. */
  async dispose(): Promise<void> {
    this.#isClosed = true;
    await this.#beginning.run(() => this.#stop());
  }
}
