import type { Readable } from 'node:stream';
import type { Logger } from '@entrepot/core';
import { inTime } from '@entrepot/core/engine';
import type Router from '@koa/router';
import type { Context, Middleware } from 'koa';
import { answerProblem } from '../answer-error.js';
import { sendJson } from '../send-json.js';
import type { Access, Operation, OperationAnswer, OperationHandler, OperationRequest } from './operation.js';
import { readParameters, readQuery, readRequestBody } from './read-request.js';

/** Admits callers to operations. */
export type Guards = Readonly<Partial<Record<Access, Middleware>>>;

export interface OperationsOptions {
  readonly logger: Logger;
  /** Waits until what clients have had already is kept, so that callers are told of it. Absent: nothing is kept here. */
  readonly settled?: (() => Promise<void>) | undefined;
}

/** The longest wait for that, in milliseconds. A store that hangs keeps nobody from the rest. */
const PATIENCE = 1_000;

/** The guard that admits everybody. */
export const OPEN: Middleware = (_ctx, next) => next();

/** The operations of a server: each is put on its route, behind its guard, and reads only what was declared. */
export class Operations {
  readonly #router: Router;
  readonly #guards: Guards;
  readonly #options: OperationsOptions;
  readonly #all: Operation[] = [];

  constructor(router: Router, guards: Guards, options: OperationsOptions) {
    this.#router = router;
    this.#guards = guards;
    this.#options = options;
  }

  /** Operations that were added. */
  get all(): readonly Operation[] {
    return this.#all;
  }

  /** Adds an operation, and its handler. */
  add<const O extends Operation>(operation: O, handler: OperationHandler<NoInfer<O>>): void {
    this.#all.push(operation);
    const guard = this.#guards[operation.access];
    if (guard === undefined) throw new Error(`${operation.id}: nobody admits callers to ${operation.access} here`);
    this.#router[operation.method](routeOf(operation), async (ctx) => {
      try {
        await guard(ctx, async () => {
          if (operation.access !== 'everybody' && operation.access !== 'metrics') await this.#settled();
          const request = {
            parameters: readParameters(operation, ctx.path),
            query: operation.asSent === true ? {} : readQuery(operation, ctx),
            body: operation.asSent === true ? undefined : await readRequestBody(operation.body, ctx),
            ctx,
          };
          const answer = await handler(request as OperationRequest<O>);
          const { parameters, body: asked } = request;
          ctx.state['answered'] = { operation, parameters, asked, answer: (answer as { json?: unknown }).json };
          send(ctx, operation, answer);
        });
      } catch (error) {
        ctx.respond = false;
        answerProblem(error, ctx.res, this.#options.logger);
      }
    });
  }

  async #settled(): Promise<void> {
    const { settled } = this.#options;
    if (settled !== undefined) await inTime(settled(), PATIENCE);
  }
}

/** An operation that was answered. */
export interface Answered {
  readonly operation: Operation;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** The body of the request. */
  readonly asked: unknown;
  /** The JSON of the answer. */
  readonly answer: unknown;
}

/** The operation that answered the request of `ctx`. `undefined`: none has yet. */
export function answeredBy({ state }: Context): Answered | undefined {
  return (state as { readonly answered?: Answered }).answered;
}

/** The path of an operation in the words of the router. */
function routeOf({ path, slashes = [] }: Operation): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => (slashes.includes(name) ? `*${name}` : `:${name}`));
}

function send<O extends Operation>(ctx: Context, operation: O, answer: OperationAnswer<O>): void {
  const { status, json, text, type } = answer as {
    readonly status: number;
    readonly json?: object;
    readonly text?: string | Buffer | Readable;
    readonly type?: string;
  };
  ctx.status = status;
  if (json !== undefined) {
    sendJson(ctx, json);
    const { jsonType } = operation.replies[status] ?? {};
    if (jsonType !== undefined) ctx.type = jsonType;
  } else if (text !== undefined) {
    ctx.body = text;
    ctx.set('Content-Type', type as string);
  } else ctx.body = null;
}
