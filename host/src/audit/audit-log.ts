import { hash, randomBytes } from 'node:crypto';
import type { Clock, Logger } from '@entrepot/core';
import { timeOfId, type AuditRecord, type SqlAuditStore } from '../drivers/sql/audit-store.js';
import { plainText } from './plain-text.js';

/** A change, or a denial, as it is noted. */
export type AuditEvent = Pick<AuditRecord, 'event' | 'actor' | 'address' | 'repository' | 'subject' | 'detail'>;

/** Hears of each record when it is written. Must not throw, and must not wait. */
export interface AuditSink {
  write(records: readonly AuditRecord[]): void;
  dispose(): Promise<void>;
}

/** The bounds of the log, and where else it goes. */
export interface AuditSettings {
  /** Time for which changes and denials are kept; milliseconds. */
  readonly keepChanges: number;
  readonly keepDenials: number;
  /** The most that are kept of each. */
  readonly maxRecords: number;
  readonly sinks: readonly AuditSink[];
}

export interface AuditLogOptions {
  readonly store: SqlAuditStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The interval at which records are written, in milliseconds. */
const FLUSH = 1_000;
const MINUTE = 60_000;
/** The interval at which old records are removed, in milliseconds. */
const PRUNE = 10 * MINUTE;
/** The most changes that wait for the database. More are counted and dropped. */
const MAX_WAITING = 10_000;
/** The most denials of one minute that are told apart by this process. Further ones are one record. */
const MAX_DENIALS = 1_000;
/** The longest text of a record, in characters. */
const LONGEST = 500;
/** The longest detail, as JSON, in characters. */
const LONGEST_DETAIL = 4_000;

type Counted = { -readonly [Key in keyof AuditRecord]: AuditRecord[Key] };

/**
 * The audit log: who changed what, and who was refused. Noting costs no more than a look into a map: records wait in memory, within bounds,
 * and are written in the background. Equal denials of one minute are one record that counts them, whichever process met them; so
 * no flood of requests fills the disk, nor pushes out changes, which have a bound of their own.
 */
export class AuditLog {
  readonly #options: AuditLogOptions;
  #settings: AuditSettings = { keepChanges: 0, keepDenials: 0, maxRecords: 0, sinks: [] };
  #changes: AuditRecord[] = [];
  /** Denials of the current minute, by all that they have in common. */
  #denials = new Map<string, Counted>();
  /** Denials of the minutes before, which are to be written. */
  #past: Counted[] = [];
  #minute = 0;
  #sequence = 0;
  #lost = 0;
  #prunedAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;

  constructor(options: AuditLogOptions) {
    this.#options = options;
  }

  /** Begins to write. */
  start(): void {
    this.#timer = setInterval(() => {
      if (!this.#isWriting) void this.flush();
    }, FLUSH).unref();
  }

  /** Puts the settings of a configuration in the place of those before. */
  async configure(settings: AuditSettings): Promise<void> {
    const { sinks } = this.#settings;
    this.#settings = settings;
    await Promise.all(sinks.map((sink) => sink.dispose()));
  }

  /** Notes a change. */
  changed(event: AuditEvent): void {
    this.#sequence = (this.#sequence + 1) % 0x10000;
    const at = this.#options.clock.now();
    this.#add(timeOfId(at) + this.#sequence.toString(16).padStart(4, '0') + randomBytes(6).toString('hex'), at, event);
  }

  /** Notes a change that several processes make at the same time: one record for all of them. */
  changedByAll(event: AuditEvent): void {
    const at = this.#options.clock.now();
    this.#add(idWithin(at, JSON.stringify(event)), at, event);
  }

  /**
   * Notes a denial.
   * @param key what makes it equal to others, besides its minute, actor, address and repository
   */
  denied(event: AuditEvent, key = event.subject ?? ''): void {
    const now = this.#options.clock.now();
    this.#turnTo(Math.floor(now / MINUTE));
    const { event: name, actor = '', address = '', repository = '' } = event;
    const same = [name, actor, address, repository, key].join('\n');
    const known = this.#denials.get(same);
    if (known !== undefined) {
      known.times += 1;
      known.lastAt = now;
      return;
    }
    if (this.#denials.size < MAX_DENIALS) this.#count(same, bounded(event), now);
    else this.#count('', { event: 'denials-others', subject: `more than ${MAX_DENIALS} that differ` }, now);
  }

  /** Writes what waits. Never rejects: while the database is down it goes on waiting, within bounds. */
  flush(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      this.#isWriting = true;
      await this.#write();
      this.#isWriting = false;
    });
    return this.#writing;
  }

  /** Records, the newest first, after what waits is written. @throws EntrepotError `storage` */
  async list(query: Parameters<SqlAuditStore['list']>[0]): Promise<readonly AuditRecord[]> {
    await this.flush();
    return await this.#options.store.list(query);
  }

  async dispose(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
    await this.configure({ ...this.#settings, sinks: [] });
  }

  #add(id: string, at: number, event: AuditEvent): void {
    if (this.#changes.length >= MAX_WAITING) this.#lost += 1;
    else this.#changes.push({ id, kind: 'change', at, lastAt: at, times: 1, ...bounded(event) });
  }

  #count(same: string, event: AuditEvent, now: number): void {
    const known = this.#denials.get(same);
    if (known !== undefined) {
      known.times += 1;
      known.lastAt = now;
      return;
    }
    const id = idWithin(now, same);
    this.#denials.set(same, { id, kind: 'denial', at: now, lastAt: now, times: 1, ...event });
  }

  /** Begins another minute. */
  #turnTo(minute: number): void {
    if (minute === this.#minute) return;
    const ended = [...this.#denials.values()].filter(({ times }) => times > 0);
    this.#past = [...this.#past, ...ended].slice(-MAX_WAITING);
    this.#denials = new Map();
    this.#minute = minute;
  }

  async #write(): Promise<void> {
    const { store, clock, logger } = this.#options;
    this.#turnTo(Math.floor(clock.now() / MINUTE));
    const changes = this.#changes;
    const past = this.#past.filter(({ times }) => times > 0);
    const current = [...this.#denials.values()].filter(({ times }) => times > 0);
    // What happens while this is being written is counted anew.
    const counts = current.map((denial) => ({ ...denial }));
    const records = [...changes, ...past, ...counts];
    try {
      if (records.length > 0) await store.record(records);
      this.#changes = this.#changes.slice(changes.length);
      const written = new Set(past);
      this.#past = this.#past.filter((denial) => !written.has(denial));
      current.forEach((denial, index) => (denial.times -= counts[index]?.times ?? 0));
      for (const sink of this.#settings.sinks) if (records.length > 0) sink.write(records);
      await this.#prune();
    } catch (error) {
      logger.warn({ err: error, waiting: records.length }, 'the audit log is not written; it is tried again');
    }
    if (this.#lost > 0) logger.error({ lost: this.#lost }, 'changes are missing in the audit log: too many waited');
    this.#lost = 0;
  }

  async #prune(): Promise<void> {
    const { store, clock } = this.#options;
    const { keepChanges, keepDenials, maxRecords } = this.#settings;
    const now = clock.now();
    if (maxRecords === 0 || now - this.#prunedAt < PRUNE) return;
    this.#prunedAt = now;
    await store.prune('change', now - keepChanges, maxRecords);
    await store.prune('denial', now - keepDenials, maxRecords);
  }
}

/** The id of what is the same within a minute, whichever process makes it. */
function idWithin(at: number, same: string): string {
  return timeOfId(Math.floor(at / MINUTE) * MINUTE) + hash('sha256', same).slice(0, 16);
}

/** The event with texts that any database takes, and no longer than they may be. */
function bounded({ event, actor, address, repository, subject, detail }: AuditEvent): AuditEvent {
  const short = (text: string | undefined): string | undefined => text && plainText(text, LONGEST);
  return {
    event,
    actor: short(actor),
    address: short(address),
    repository,
    subject: short(subject),
    detail: small(detail),
  };
}

function small(detail: AuditEvent['detail']): AuditEvent['detail'] {
  if (detail === undefined) return undefined;
  const text = JSON.stringify(detail, (key, value: unknown) => (key === 'secret' ? undefined : value));
  return text.length > LONGEST_DETAIL
    ? { cut: plainText(text, LONGEST_DETAIL) }
    : (JSON.parse(text) as Record<string, unknown>);
}
