import { createServer, type IncomingHttpHeaders } from 'node:http';
import { json } from 'node:stream/consumers';
import { listenOnLoopback } from '../../local-server.js';

/** A span as a collector reads it. */
export interface ReadSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly kind: number;
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly status: { readonly code: number; readonly message: string } | undefined;
}

interface WrittenValue {
  readonly stringValue?: string;
  readonly intValue?: string;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
}

type WrittenAttributes = readonly { readonly key: string; readonly value: WrittenValue }[];

interface WrittenSpan extends Omit<ReadSpan, 'attributes' | 'start' | 'end'> {
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: WrittenAttributes;
}

interface WrittenTraces {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: WrittenAttributes };
    readonly scopeSpans: readonly { readonly spans: readonly WrittenSpan[] }[];
  }[];
}

/** A collector on loopback: OTLP over HTTP, in JSON. */
export async function startCollector() {
  const spans: ReadSpan[] = [];
  const posts: {
    readonly url: string | undefined;
    readonly headers: IncomingHttpHeaders;
    readonly service: unknown;
  }[] = [];
  const answers: number[] = [];
  const server = createServer(async (request, response) => {
    const { resourceSpans } = (await json(request)) as WrittenTraces;
    const status = answers.shift() ?? 200;
    const [first] = resourceSpans;
    const service = attributesOf(first?.resource.attributes ?? [])['service.name'];
    posts.push({ url: request.url, headers: request.headers, service });
    if (status === 200)
      for (const { scopeSpans } of resourceSpans) for (const scope of scopeSpans) spans.push(...scope.spans.map(read));
    response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
  });
  const url = await listenOnLoopback(server);
  return { url, spans, posts, /** Statuses of the next answers; then 200. */ answers };
}

function read({ attributes, startTimeUnixNano, endTimeUnixNano, ...span }: WrittenSpan): ReadSpan {
  for (const [id, length] of [
    [span.traceId, 32],
    [span.spanId, 16],
  ] as const)
    if (!new RegExp(`^[0-9a-f]{${length}}$`).test(id))
      throw new Error(`expected ${length} hexadecimal digits, found ${id}`);
  return {
    ...span,
    attributes: attributesOf(attributes),
    start: BigInt(startTimeUnixNano),
    end: BigInt(endTimeUnixNano),
  };
}

function attributesOf(attributes: WrittenAttributes): Readonly<Record<string, string | number | boolean>> {
  return Object.fromEntries(
    attributes.map(({ key, value: { stringValue, intValue, doubleValue, boolValue } }) => {
      const value = stringValue ?? (intValue === undefined ? (doubleValue ?? boolValue) : Number(intValue));
      if (value === undefined) throw new Error(`expected a value of ${key}`);
      return [key, value];
    }),
  );
}
