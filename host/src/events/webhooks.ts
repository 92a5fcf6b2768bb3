import { createHmac, randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Clock, Logger, Transport } from '@entrepot/core';
import type { EventName } from '../config/event-names.js';
import type { WebhookConfig } from '../config/schema.js';
import type { AuditRecord } from '../drivers/sql/audit-store.js';
import { printEvent, type EventHub } from './event-hub.js';

/** A webhook, of policy or of the audit log. */
export interface Webhook extends Omit<WebhookConfig, 'events'> {
  readonly events: readonly PostedName[];
}

export interface WebhooksOptions {
  readonly webhooks: readonly Webhook[];
  /** Absent: nothing but what is given is posted. */
  readonly hub?: EventHub | undefined;
  readonly clock: Clock;
  readonly transport: Transport;
  readonly logger: Logger;
}

interface Queue {
  readonly webhook: Webhook;
  readonly waiting: string[];
  running: boolean;
}

type PostedName = EventName | 'audit';

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
  #unlisten = (): void => {};

  constructor(options: WebhooksOptions) {
    this.#options = options;
    this.#queues = options.webhooks.map((webhook) => ({ webhook, waiting: [], running: false }));
  }

  /** Begins to listen. */
  begin(): void {
    const { hub } = this.#options;
    if (this.#queues.length > 0 && hub !== undefined)
      this.#unlisten = hub.listen((event) => this.#tell(event.event, () => printEvent(event, true)));
  }

  /** Leaves further events to another one; waiting ones are posted. */
  retire(): void {
    this.#unlisten();
  }

  /** Tells of what was written to the audit log. */
  audited(records: readonly AuditRecord[]): void {
    const at = new Date(this.#options.clock.now()).toISOString();
    for (let from = 0; from < records.length; from += MAX_RECORDS) {
      const part = records.slice(from, from + MAX_RECORDS);
      this.#tell('audit', () => JSON.stringify({ id: randomUUID(), event: 'audit', at, records: part }));
    }
  }

  /** Stops; waiting events are lost. */
  async dispose(): Promise<void> {
    this.retire();
    this.#end.abort();
    await this.#options.transport.dispose();
  }

  #tell(event: PostedName, print: () => string): void {
    const { logger } = this.#options;
    let body: string | undefined;
    for (const queue of this.#queues) {
      if (!queue.webhook.events.includes(event)) continue;
      if (queue.waiting.length >= MAX_WAITING) {
        logger.warn(
          { webhook: new URL(queue.webhook.url).host, event },
          'too many events wait for a webhook: one is lost',
        );
        continue;
      }
      body ??= print();
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
