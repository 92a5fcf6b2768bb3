import type { BlobInfo } from '@entrepot/core';
import { type BlobCondition, inspectBlob } from '@entrepot/core/engine';
import { forEachLimited } from '@entrepot/core/formats';
import { slices } from '../drivers/slices.js';
import type { Usage } from '../drivers/sql/eviction-store.js';
import type { VerificationCounts } from '../drivers/sql/verification-store.js';
import { Healer, type HealerServices } from './healer.js';
import type { LostCondition, LostEntries } from './lost-entries.js';
import { Pace } from './pace.js';

/** The numbers of blobs that are read, and healed, at once. */
const READ_AT_ONCE = 4;
const HEALED_AT_ONCE = 4;
/** So many blobs in a row that cannot be read are the failure of the store, and none of theirs. */
const MOST_UNREADABLE = 10;
/** How often a run notes how far it is, in milliseconds. */
const SAVE_INTERVAL = 30_000;

/** Told of what a run finds, for metrics. */
export interface VerificationObserver {
  blobVerified(condition: BlobCondition | 'unreadable'): void;
  blobHealed(blob: BlobInfo): void;
}

export interface VerifierServices extends HealerServices {
  /** Counts all blobs. */
  total(): Promise<Usage>;
  /** Names this process. */
  readonly by: string;
  readonly observer?: VerificationObserver | undefined;
}

export interface VerifyOptions {
  /** Tells what is damaged or missing, and changes nothing. */
  readonly dryRun: boolean;
  /** Whether upstreams are asked for what is damaged or missing. */
  readonly heal: boolean;
  /** Goes on with the last run, where that came to no end. */
  readonly resume: boolean;
  /** Bytes a second; `Infinity`: no bound. */
  readonly rate: number;
  /** The number of blobs that are looked up together. */
  readonly batchSize: number;
}

/** Findings of a run so far. */
export interface Verified extends VerificationCounts {
  /** All blobs, when the run began, or was gone on with. */
  readonly total: Usage;
  /** Entries of hosted repositories whose bytes are lost. */
  readonly hosted: LostEntries;
  /** Entries of proxies whose bytes are lost, and could not be fetched again yet. */
  readonly proxied: LostEntries;
}

/**
 * One run over all blobs of the catalogue: each is compared with its digest. A damaged one is out of the store at once; its bytes come
 * back from the upstream, or with the next upload.
 */
export class Verifier {
  readonly #services: VerifierServices;
  readonly #options: VerifyOptions;
  readonly #signal: AbortSignal;
  readonly #pace: Pace;
  readonly #healer: Healer;
  #counts = { looked: 0, bytes: 0, damaged: 0, missing: 0, unreadable: 0, healed: 0 };
  #total: Usage = { bytes: 0, amount: 0 };
  #startedAt: number;
  /** The last digest that was looked at. */
  #after = '';
  /** On the monotonic clock. */
  #savedAt: number;
  #unreadableInARow = 0;

  constructor(services: VerifierServices, options: VerifyOptions, signal: AbortSignal) {
    const { clock } = services;
    this.#services = services;
    this.#options = options;
    this.#signal = signal;
    this.#pace = new Pace(options.rate, clock);
    this.#healer = new Healer(services, options.heal, signal);
    this.#startedAt = clock.now();
    this.#savedAt = clock.monotonic();
  }

  get report(): Verified {
    const { hosted, proxied } = this.#healer;
    return { ...this.#counts, total: this.#total, hosted: hosted.report, proxied: proxied.report };
  }

  /** @throws the reason of the signal; EntrepotError `storage` while the store or the database fails */
  async run(): Promise<void> {
    const { catalogue, store, total, clock } = this.#services;
    const { batchSize, resume } = this.#options;
    // Blobs that were just put are no longer held.
    await catalogue.flush();
    if (resume) await this.#goOn();
    this.#total = await total();
    await this.retry();
    for (let isLast = false; !isLast;) {
      const page = await store.page(this.#after, batchSize);
      isLast = page.length < batchSize;
      const lost: { readonly blob: BlobInfo; readonly condition: LostCondition }[] = [];
      for (const part of slices(page, READ_AT_ONCE)) {
        await forEachLimited(part, READ_AT_ONCE, async (blob) => {
          this.#signal.throwIfAborted();
          const condition = await this.#look(blob);
          if (condition !== undefined) lost.push({ blob, condition });
        });
        this.#after = part.at(-1)?.digest ?? this.#after;
        if (clock.monotonic() - this.#savedAt >= SAVE_INTERVAL) await this.#save();
      }
      await forEachLimited(lost, HEALED_AT_ONCE, ({ blob, condition }) => this.#heal(blob, condition));
      await this.#save(isLast ? clock.now() : undefined);
    }
  }

  /** Tries to heal what is known to be damaged or missing. */
  async retry(): Promise<void> {
    const { batchSize } = this.#options;
    for (let after: string | undefined = ''; after !== undefined;) {
      const page: readonly BlobInfo[] = await this.#services.store.lost(after, batchSize);
      await forEachLimited(page, HEALED_AT_ONCE, (blob) => this.#heal(blob, 'lost'));
      after = page.length < batchSize ? undefined : page.at(-1)?.digest;
    }
  }

  async #goOn(): Promise<void> {
    const last = await this.#services.store.pass();
    if (last === undefined || last.endedAt !== undefined) return;
    const { startedAt, after, by: _by, endedAt: _endedAt, ...counts } = last;
    this.#counts = counts;
    this.#startedAt = startedAt;
    this.#after = after;
  }

  async #save(endedAt?: number): Promise<void> {
    this.#savedAt = this.#services.clock.monotonic();
    if (this.#options.dryRun) return;
    const { by, store } = this.#services;
    await store.savePass({ ...this.#counts, startedAt: this.#startedAt, endedAt, after: this.#after, by });
  }

  /** Looks at one blob, and takes it out where it is damaged. @returns why it is lost; `undefined` where it is not */
  async #look(blob: BlobInfo): Promise<LostCondition | undefined> {
    const { clock, observer, store } = this.#services;
    const condition = await this.#inspect(blob);
    this.#counts.looked += 1;
    const isLost =
      condition === 'damaged' ||
      condition === 'unreadable' ||
      (condition === 'missing' && (await store.isExpected(blob.digest, clock.now())));
    observer?.blobVerified(isLost ? condition : 'intact');
    if (!isLost) return undefined;
    // Bytes that nobody can read now, somebody may be able to read tomorrow.
    const isLeft = this.#options.dryRun || condition === 'unreadable';
    if (!isLeft && !(await this.#healer.takeOut(blob))) return undefined;
    this.#counts[condition] += 1;
    return condition;
  }

  async #inspect(blob: BlobInfo): Promise<BlobCondition | 'unreadable'> {
    const { blobs, logger } = this.#services;
    try {
      const condition = await inspectBlob(blobs, blob, async (bytes) => {
        this.#counts.bytes += bytes;
        await this.#pace.spend(bytes, this.#signal);
      });
      this.#unreadableInARow = 0;
      return condition;
    } catch (error) {
      this.#signal.throwIfAborted();
      this.#unreadableInARow += 1;
      if (this.#unreadableInARow >= MOST_UNREADABLE) throw error;
      logger.warn({ error, digest: blob.digest }, 'a blob cannot be read');
      return 'unreadable';
    }
  }

  async #heal(blob: BlobInfo, condition: LostCondition): Promise<void> {
    this.#signal.throwIfAborted();
    if (condition === 'unreadable') return await this.#healer.list(blob, condition);
    if (this.#options.dryRun) {
      const isBack = condition === 'lost' && (await this.#inspect(blob)) === 'intact';
      return isBack ? undefined : await this.#healer.list(blob, condition);
    }
    if (!(await this.#healer.heal(blob, condition))) return;
    this.#counts.healed += 1;
    this.#services.observer?.blobHealed(blob);
    await this.#pace.spend(blob.size, this.#signal);
  }
}
