import { EntrepotError, type Access } from '@entrepot/core';
import type { Context } from 'koa';
import { z } from 'zod';
import { EVENT_NAMES } from '../config/event-names.js';
import type { EventHub } from '../events/event-hub.js';
import { EventStream, type Sight } from '../events/event-stream.js';
import { operation, text } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import { plainText, repositoryName } from '../http/operations/schemas.js';
import type { AdminAccess } from './admin-access.js';

const STREAM = 'text/event-stream';
const READ = { right: 'read' } as const;
/** The most streams of one process, and those of them that others than operators may have. */
const MOST_STREAMS = 100;
const MOST_OF_READERS = 50;
/** Seconds. */
const RETRY_AFTER = 15;
/** Milliseconds between two looks at what the caller may see: proxies close connections that say nothing for a minute. */
const HEARTBEAT = 15_000;

const EXPECTED = `expected names out of ${EVENT_NAMES.join(', ')}, with commas between them`;

/** The operation that tells events. */
export const EVENTS_OPERATION = operation({
  id: 'followEvents',
  tag: 'server',
  summary: 'Tells what happens in this server process, as it comes.',
  description:
    'Administrators get all events, others those of the repositories that they may read as a whole. A client that comes again with `Last-Event-ID` gets what it has missed.',
  method: 'get',
  path: '/-/api/v1/events',
  access: 'reader',
  query: z.strictObject({
    repository: repositoryName.optional().describe('Left out: all.'),
    event: plainText(200)
      .refine((names) => names.split(',').every((name) => EVENT_NAMES.some((one) => one === name)), EXPECTED)
      .optional()
      .describe(`Names of events, with commas between them. Left out: all.`),
  }),
  replies: { 200: { description: 'The stream. It ends with `bye`.', texts: [STREAM] } },
  errors: ['unauthorized', 'too-many-requests'],
});

export interface EventsRoutesOptions {
  readonly hub: EventHub;
  readonly streams: EventStreams;
  readonly repositories: readonly { readonly name: string; readonly access: Access }[];
  readonly admins: AdminAccess;
}

/** The open streams of one configuration. */
export class EventStreams {
  readonly #open = new Map<EventStream, boolean>();
  #isOver = false;

  /** Adds a stream. @throws EntrepotError 429 where there are too many */
  open(isOperator: boolean, make: () => EventStream): EventStream {
    const readers = [...this.#open.values()].filter((one) => !one).length;
    if (this.#isOver || this.#open.size >= MOST_STREAMS || (!isOperator && readers >= MOST_OF_READERS))
      throw new EntrepotError(
        'too-many-requests',
        `Events: expected at most ${MOST_STREAMS} listeners; come again later`,
        {
          code: 'TOO_MANY_LISTENERS',
          retryAfter: RETRY_AFTER,
        },
      );
    const stream = make();
    this.#open.set(stream, isOperator);
    stream.once('close', () => this.#open.delete(stream));
    return stream;
  }

  /** Ends all: their clients come again, and get what they have missed. */
  end(): void {
    this.#isOver = true;
    for (const stream of this.#open.keys()) stream.bye();
  }
}

/**
 * Adds the events of this process, as they come. Administrators get all, others those of repositories that they may read as a whole. A
 * client that comes again with `Last-Event-ID` gets what it has missed.
 */
export function eventsRoutes(
  operations: Operations,
  { hub, streams, repositories, admins }: EventsRoutesOptions,
): void {
  operations.add(EVENTS_OPERATION, async ({ query: { repository, event }, ctx }) => {
    const names = event?.split(',');
    const isWanted: Sight = (one) =>
      (repository === undefined || one.repository === repository) && (names?.includes(one.event) ?? true)
        ? 'all'
        : undefined;
    const { isOperator, sight } = await sightOf(ctx, isWanted);
    if (sight === undefined) {
      const [first] = repositories;
      const headers = first === undefined ? {} : { 'WWW-Authenticate': first.access.challenge(READ) };
      const message = 'Events: expected the credentials of somebody who may read a repository';
      throw new EntrepotError('unauthorized', message, { headers });
    }
    const lastId = ctx.get('Last-Event-ID').slice(0, 100) || undefined;
    const lookAgain = async (): Promise<Sight | undefined> => (await sightOf(ctx, isWanted)).sight;
    const options = { hub, sight, lastId, heartbeat: HEARTBEAT, lookAgain };
    const stream = streams.open(isOperator, () => new EventStream(options));
    // A reader that is cut has a body that is not whole.
    stream.once('close', () => {
      if (!stream.readableEnded) ctx.res.destroy();
    });
    ctx.set({ 'Cache-Control': 'no-store, no-transform', 'X-Accel-Buffering': 'no' });
    return text(200, `${STREAM}; charset=utf-8`, stream);
  });

  /** The wanted events that whoever asks may see. */
  async function sightOf(
    ctx: Context,
    isWanted: Sight,
  ): Promise<{ readonly isOperator: boolean; readonly sight: Sight | undefined }> {
    if (await admins.isAllowed(ctx.req)) return { isOperator: true, sight: isWanted };
    const readable = new Set<string>();
    for (const one of repositories) if (await mayRead(one.access, ctx.get('Authorization'))) readable.add(one.name);
    if (readable.size === 0) return { isOperator: false, sight: undefined };
    const sight: Sight = (event) =>
      event.repository !== undefined && readable.has(event.repository) && isWanted(event) !== undefined
        ? 'public'
        : undefined;
    return { isOperator: false, sight };
  }
}

async function mayRead(access: Access, authorization: string): Promise<boolean> {
  if (access.isOpen(READ)) return true;
  try {
    return (await access.authenticate(authorization || undefined)).may(READ);
  } catch (error) {
    if (error instanceof EntrepotError && error.kind === 'unauthorized') return false;
    throw error;
  }
}
