import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  messageOf,
  printableUrl,
  type Clock,
  type Outcome,
  type Transport,
  type TransportReply,
  type TransportRequest,
} from '@entrepot/core';
import type { TracingConfig } from '../../config/schema.js';
import type { AttributeValue, EndedSpan } from './otlp-exporter.js';
import { newSpanContext, parseTraceparent, printTraceparent, type SpanContext } from './trace-context.js';

/** A request that is traced, as its record will have it when it is over. */
export interface TracedExchange {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly bytes: number;
  readonly client: string | undefined;
  readonly repository: string | undefined;
  readonly outcome: Outcome | undefined;
  readonly aborted: boolean;
}

export interface TracingOptions extends Pick<TracingConfig, 'sample' | 'passToUpstreams'> {
  readonly exporter: { add(span: EndedSpan): void; dispose(): Promise<void> };
  readonly clock: Clock;
  /** A number from 0 on, below 1. Default: at random. */
  readonly random?: (() => number) | undefined;
}

/** Spans of requests, of fetches for them, and of scans. What a fetch is for is told by the request that started it. */
export class Tracing {
  readonly #options: TracingOptions;
  readonly #current = new AsyncLocalStorage<SpanContext>();

  constructor(options: TracingOptions) {
    this.#options = options;
  }

  /** Has `work` answer a request, as a part of the trace that its sender began, if there is one. */
  request({ headers }: IncomingMessage, response: ServerResponse, exchange: TracedExchange, work: () => void): void {
    const { traceparent } = headers;
    const parent = parseTraceparent(typeof traceparent === 'string' ? traceparent : undefined);
    const context = newSpanContext(parent, parent?.sampled ?? this.#chooses());
    if (context.sampled) {
      const end = this.#begin(context, parent?.spanId, 'server');
      response.once('close', () => {
        const { id, method, path, status, bytes, client, repository, outcome, aborted } = exchange;
        const query = path.indexOf('?');
        const attributes = {
          'http.request.method': method,
          'url.path': query < 0 ? path : path.slice(0, query),
          'http.response.status_code': status,
          'http.response.body.size': bytes,
          'client.address': client,
          'entrepot.request': id,
          'entrepot.repository': repository,
          'entrepot.resource': outcome?.resource,
          'entrepot.outcome': outcome?.name,
          'error.type': outcome?.code,
        };
        const error = status >= 500 ? (outcome?.detail ?? String(status)) : aborted ? 'broke off' : undefined;
        end(`${method} ${repository ?? ''}`.trimEnd(), attributes, error);
      });
    }
    this.#current.run(context, work);
  }

  /** A transport whose requests are spans of what they are for. Upstreams are told of the trace where the configuration says so. */
  transport(repository: string, inner: Transport): Transport {
    return {
      send: (request) => this.#send(repository, inner, request),
      dispose: () => inner.dispose(),
    };
  }

  async #send(repository: string, inner: Transport, request: TransportRequest): Promise<TransportReply> {
    const parent = this.#current.getStore();
    if (parent === undefined) return await inner.send(request);
    const context = newSpanContext(parent, parent.sampled);
    const passed = { ...request.headers, traceparent: printTraceparent(context) };
    const sent = this.#options.passToUpstreams ? { ...request, headers: passed } : request;
    if (!parent.sampled) return await inner.send(sent);
    const end = this.#begin(context, parent.spanId, 'client');
    const asked = {
      'http.request.method': request.method,
      'url.full': printableUrl(request.url),
      'server.address': request.url.hostname,
      'entrepot.repository': repository,
    };
    try {
      const reply = await inner.send(sent);
      let failure: unknown;
      reply.body.once('error', (error) => (failure = error));
      reply.body.once('close', () => {
        const isError = reply.status >= 400 ? String(reply.status) : undefined;
        const broken = failure === undefined ? isError : messageOf(failure);
        end(request.method, { ...asked, 'http.response.status_code': reply.status }, broken);
      });
      return reply;
    } catch (error) {
      end(request.method, asked, messageOf(error));
      throw error;
    }
  }

  /** Has `work` scan so many subjects, in a trace of its own: reports are for everybody. */
  async scan<Result>(scanner: string, subjects: number, work: () => Promise<Result>): Promise<Result> {
    const context = newSpanContext(undefined, this.#chooses());
    if (!context.sampled) return await this.#current.run(context, work);
    const end = this.#begin(context, undefined, 'internal');
    const attributes = { 'entrepot.scanner': scanner, 'entrepot.subjects': subjects };
    try {
      const result = await this.#current.run(context, work);
      end(`scan ${scanner}`, attributes);
      return result;
    } catch (error) {
      end(`scan ${scanner}`, attributes, messageOf(error));
      throw error;
    }
  }

  /** Delivers what has ended. */
  async dispose(): Promise<void> {
    await this.#options.exporter.dispose();
  }

  #chooses(): boolean {
    const { sample, random = Math.random } = this.#options;
    return sample > 0 && random() < sample;
  }

  #begin(
    { traceId, spanId }: SpanContext,
    parentSpanId: string | undefined,
    kind: EndedSpan['kind'],
  ): (name: string, attributes: Readonly<Record<string, AttributeValue>>, error?: string) => void {
    const { clock, exporter } = this.#options;
    const start = clock.now();
    const begun = clock.monotonic();
    return (name, attributes, error) => {
      const end = start + clock.monotonic() - begun;
      exporter.add({ traceId, spanId, parentSpanId, name, kind, start, end, attributes, error });
    };
  }
}
