import { createHmac, randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { packageUrl, type Clock, type Logger, type Transport } from '@entrepot/core';
import type { WebhookConfig } from '../config/schema.js';
import type { AuditRecord } from '../drivers/sql/audit-store.js';
import type { DecisionRecord } from '../drivers/sql/decision-log.js';
import type { KeptException } from '../drivers/sql/exception-store.js';
import type { NewFindings } from '../scanning/scanner-updates.js';

/** A webhook, of policy or of the audit log. */
export interface Webhook extends Omit<WebhookConfig, 'events'> {
  readonly events: readonly EventName[];
}

export interface WebhooksOptions {
  readonly webhooks: readonly Webhook[];
  readonly transport: Transport;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Queue {
  readonly webhook: Webhook;
  readonly waiting: string[];
  running: boolean;
}

type EventName = WebhookConfig['events'][number] | 'audit';

/** The most waiting events of one webhook. More are dropped. */
const MAX_WAITING = 1_000;
/** Milliseconds before each attempt after the first. After the last one the event is dropped. */
const DELAYS = [1_000, 10_000, 60_000];
const TIMEOUT = 10_000;
/** The most records of the audit log in one event. */
const MAX_RECORDS = 100;

/** Posts events to the webhooks of the configuration. Each webhook gets one event at a time, with retries. */
export class Webhooks {
  readonly #options: WebhooksOptions;
  readonly #queues: readonly Queue[];
  readonly #end = new AbortController();

  constructor(options: WebhooksOptions) {
    this.#options = options;
    this.#queues = options.webhooks.map((webhook) => ({ webhook, waiting: [], running: false }));
  }

  refused(event: 'denied' | 'held', { repository, coordinates, rules, caller }: DecisionRecord): void {
    const reasons = rules.map(({ id, action, reason, findings }) => ({ id, action, reason, findings }));
    this.#tell(event, { repository, purl: packageUrl(coordinates), rules: reasons, caller });
  }

  newlyVulnerable({ artifact, scanner, findings }: NewFindings): void {
    const { repository, digest, coordinates } = artifact;
    this.#tell('newly-vulnerable', { repository, purl: packageUrl(coordinates), digest, scanner, findings });
  }

  exceptionEnding({ id, scope, rules, advisories, reason, ticket, approvedBy, expiresAt }: KeptException): void {
    const about = { ...scope, rules, advisories, reason, ticket, approvedBy };
    this.#tell('exception-ending', { exception: id, ...about, expires: new Date(expiresAt).toISOString() });
  }

  /** Tells of what was written to the audit log. */
  audited(records: readonly AuditRecord[]): void {
    for (let from = 0; from < records.length; from += MAX_RECORDS)
      this.#tell('audit', { records: records.slice(from, from + MAX_RECORDS) });
  }

  /** Stops; waiting events are lost. */
  async dispose(): Promise<void> {
    this.#end.abort();
    await this.#options.transport.dispose();
  }

  #tell(event: EventName, fields: object): void {
    const { clock, logger } = this.#options;
    const body = JSON.stringify({ id: randomUUID(), event, at: new Date(clock.now()).toISOString(), ...fields });
    for (const queue of this.#queues) {
      if (!queue.webhook.events.includes(event)) continue;
      if (queue.waiting.length >= MAX_WAITING) {
        logger.warn(
          { webhook: new URL(queue.webhook.url).host, event },
          'too many events wait for a webhook: one is lost',
        );
        continue;
      }
      queue.waiting.push(body);
      if (!queue.running) void this.#drain(queue);
    }
  }

  async #drain(queue: Queue): Promise<void> {
    queue.running = true;
    try {
      for (let body = queue.waiting.shift(); body !== undefined; body = queue.waiting.shift()) {
        if (this.#end.signal.aborted) return;
        await this.#post(queue.webhook, body);
      }
    } finally {
      queue.running = false;
    }
  }

  async #post({ url, secret, allowPrivate }: Webhook, body: string): Promise<void> {
    const { transport, logger } = this.#options;
    const signature = secret === undefined ? undefined : createHmac('sha256', secret).update(body).digest('hex');
    for (let attempt = 0; ; attempt += 1) {
      try {
        const reply = await transport.send({
          method: 'POST',
          url: new URL(url),
          headers: {
            'content-type': 'application/json',
            'user-agent': 'entrepot',
            ...(signature !== undefined && { 'entrepot-signature': `sha256=${signature}` }),
          },
          body: Buffer.from(body),
          allowPrivate,
          signal: AbortSignal.any([this.#end.signal, AbortSignal.timeout(TIMEOUT)]),
        });
        // What it says does not matter, and it might say it for ever.
        reply.body.on('error', () => {});
        reply.body.destroy();
        if (reply.status < 300) return;
        throw new Error(`expected a status below 300, found ${reply.status}`);
      } catch (error) {
        if (this.#end.signal.aborted) return;
        const delay = DELAYS[attempt];
        const fields = { err: error, webhook: new URL(url).host, attempt: attempt + 1 };
        if (delay === undefined) {
          logger.error(fields, 'a webhook does not take an event: it is lost');
          return;
        }
        logger.warn(fields, 'a webhook does not take an event; it is tried again');
        await wait(delay, undefined, { signal: this.#end.signal, ref: false }).catch(() => {});
      }
    }
  }
}
