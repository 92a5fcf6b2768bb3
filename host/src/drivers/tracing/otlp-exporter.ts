import { asEntrepotError, EntrepotError, printableUrl, type Logger, type Transport } from '@entrepot/core';

/** The value of an attribute. `undefined`: it is left out. */
export type AttributeValue = string | number | boolean | undefined;

/** A span that has ended. */
export interface EndedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly kind: keyof typeof KINDS;
  /** Milliseconds since the epoch. */
  readonly start: number;
  readonly end: number;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  /** Says what went wrong. Absent: nothing did. */
  readonly error?: string | undefined;
}

export interface OtlpExporterOptions {
  /** The URL that traces are posted to. */
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly serviceName: string;
  readonly transport: Transport;
  readonly logger: Logger;
  /** Milliseconds between two posts. Default: five seconds. */
  readonly interval?: number | undefined;
}

/** Numbers of the protocol. */
const KINDS = { internal: 1, server: 2, client: 3 } as const;
const FAILED = 2;
/** The most spans of one post. */
const BATCH = 512;
/** The most spans that wait. What comes then is dropped: traces are not worth memory without a bound. */
const MAX_WAITING = 4096;
const INTERVAL = 5_000;
const TIMEOUT = 10_000;
/** Statuses of collectors that take the same later. */
const PASSING = new Set([429, 502, 503, 504]);

/** Posts spans to a collector by OTLP over HTTP, as JSON, in batches. A collector that is away costs spans, and nothing else. */
export class OtlpExporter {
  readonly #options: OtlpExporterOptions;
  readonly #timer: NodeJS.Timeout;
  #waiting: EndedSpan[] = [];
  #sending: Promise<void> | undefined;
  #dropped = 0;
  #hasFailed = false;

  constructor(options: OtlpExporterOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.flush(), options.interval ?? INTERVAL).unref();
  }

  add(span: EndedSpan): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#dropped += 1;
      return;
    }
    this.#waiting.push(span);
    if (this.#waiting.length >= BATCH) void this.flush();
  }

  /** Posts what waits, one batch after the other. Does not reject. */
  flush(): Promise<void> {
    this.#sending ??= this.#send().finally(() => (this.#sending = undefined));
    return this.#sending;
  }

  /** Posts what is left, once. */
  async dispose(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sending;
    await this.flush();
    await this.#options.transport.dispose();
  }

  async #send(): Promise<void> {
    const { logger, url } = this.#options;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH);
      try {
        await this.#post(batch);
        this.#hasFailed = false;
      } catch (error) {
        const failure = asEntrepotError(error, 'upstream-unavailable', 'The collector could not be asked');
        // Once for each outage; the spans of a collector that is only busy are tried again.
        if (!this.#hasFailed)
          logger.warn({ err: failure, endpoint: printableUrl(url) }, 'traces cannot be delivered to the collector');
        this.#hasFailed = true;
        if (failure.code === 'COLLECTOR_BUSY')
          this.#waiting.unshift(...batch.slice(0, MAX_WAITING - this.#waiting.length));
        else this.#dropped += batch.length;
        return;
      }
    }
    if (this.#dropped > 0)
      logger.warn({ spans: this.#dropped }, 'spans were dropped: the collector was away or too slow');
    this.#dropped = 0;
  }

  async #post(spans: readonly EndedSpan[]): Promise<void> {
    const { headers, serviceName, transport, url } = this.#options;
    const resource = { attributes: attributesOf({ 'service.name': serviceName }) };
    const traces = {
      resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'entrepot' }, spans: spans.map(spanOf) }] }],
    };
    const { status, body } = await transport.send({
      method: 'POST',
      url,
      headers: { ...headers, 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify(traces)),
      allowPrivate: true,
      signal: AbortSignal.timeout(TIMEOUT),
    });
    body.resume();
    if (status >= 200 && status < 300) return;
    const code = PASSING.has(status) ? 'COLLECTOR_BUSY' : 'COLLECTOR_REFUSED';
    throw new EntrepotError('upstream-unavailable', `The collector answered ${status}; expected 200`, { code });
  }
}

function spanOf({ traceId, spanId, parentSpanId, name, kind, start, end, attributes, error }: EndedSpan): object {
  return {
    traceId,
    spanId,
    ...(parentSpanId !== undefined && { parentSpanId }),
    name,
    kind: KINDS[kind],
    startTimeUnixNano: nanoseconds(start),
    endTimeUnixNano: nanoseconds(end),
    attributes: attributesOf(attributes),
    ...(error !== undefined && { status: { code: FAILED, message: error } }),
  };
}

/** As JSON has it: 64-bit numbers are text. */
function nanoseconds(milliseconds: number): string {
  return `${Math.round(milliseconds * 1000)}000`;
}

function attributesOf(attributes: Readonly<Record<string, AttributeValue>>): object[] {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: valueOf(value) }],
  );
}

function valueOf(value: string | number | boolean): object {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
