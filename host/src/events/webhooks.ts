import { createHmac } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Logger, Transport } from '@entrepot/core';
import type { WebhookConfig } from '../config/schema.js';
import { printEvent, type EventHub, type ServerEvent } from './event-hub.js';

export interface WebhooksOptions {
  readonly webhooks: readonly WebhookConfig[];
  readonly hub: EventHub;
  readonly transport: Transport;
  readonly logger: Logger;
}

interface Queue {
  readonly webhook: WebhookConfig;
  readonly waiting: string[];
  running: boolean;
}

/** The most waiting events of one webhook. More are dropped. */
const MAX_WAITING = 1_000;
/** Milliseconds before each attempt after the first. After the last one the event is dropped. */
const DELAYS = [1_000, 10_000, 60_000];
const TIMEOUT = 10_000;

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
    if (this.#queues.length > 0) this.#unlisten = this.#options.hub.listen((event) => this.#tell(event));
  }

  /** Leaves further events to another one; waiting ones are posted. */
  retire(): void {
    this.#unlisten();
  }

  /** Stops; waiting events are lost. */
  async dispose(): Promise<void> {
    this.retire();
    this.#end.abort();
    await this.#options.transport.dispose();
  }

  #tell(event: ServerEvent): void {
    const { logger } = this.#options;
    let body: string | undefined;
    for (const queue of this.#queues) {
      if (!queue.webhook.events.includes(event.event)) continue;
      if (queue.waiting.length >= MAX_WAITING) {
        logger.warn(
          { webhook: new URL(queue.webhook.url).host, event: event.event },
          'too many events wait for a webhook: one is lost',
        );
        continue;
      }
      body ??= printEvent(event, true);
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

  async #post({ url, secret, allowPrivate }: WebhookConfig, body: string): Promise<void> {
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
