import type { Readable } from 'node:stream';
import type { ErrorKind } from '@entrepot/core';
import type { Context } from 'koa';
import type { z } from 'zod';

/** The callers of an operation. */
export type Access =
  /** Callers without credentials, too. */
  | 'everybody'
  /** Whoever may read one of the repositories. */
  | 'reader'
  | 'administrator'
  /** Administrators, and whoever may administer some repositories, as far as that. */
  | 'delegate'
  /** Bearers of `metrics.token`, where the configuration has one. */
  | 'metrics';

/** A body of a request. */
export interface RequestBody {
  readonly schema: z.ZodType;
  /** Media types. Default: JSON alone. */
  readonly types?: readonly string[] | undefined;
  /** Whether it may be left out; it is read as an empty object then. */
  readonly optional?: boolean | undefined;
  /** The largest one, in bytes. */
  readonly maxBytes?: number | undefined;
}

/** A reply to an operation that succeeds. */
export interface Reply {
  readonly description: string;
  /** Its JSON. Absent: it has no JSON. */
  readonly json?: z.ZodType | undefined;
  /** The media type of its JSON. Default: `application/json`. */
  readonly jsonType?: string | undefined;
  /** Other media types that it may have. */
  readonly texts?: readonly string[] | undefined;
}

/** A route of the server itself: how it is asked, and all that it answers. Plain data. */
export interface Operation {
  /** Unique, in camel case: `listPins`. */
  readonly id: string;
  /** The heading that it stands under. */
  readonly tag: Tag;
  /** A sentence that begins with a verb. */
  readonly summary: string;
  readonly description?: string | undefined;
  readonly method: 'get' | 'put' | 'post' | 'patch' | 'delete';
  /** With parameters in braces: `/-/api/v1/pins/{id}`. */
  readonly path: string;
  readonly access: Access;
  /** The parameters of the path. */
  readonly parameters?: z.ZodObject | undefined;
  /** The names of parameters that may hold slashes as they are. */
  readonly slashes?: readonly string[] | undefined;
  /** The parameters of the query. Others are refused. `ignored`: it has none, and what is sent is passed over. */
  readonly query?: z.ZodObject | 'ignored' | undefined;
  readonly body?: RequestBody | undefined;
  /** By status. */
  readonly replies: Readonly<Record<number, Reply>>;
  /** Whether its handler reads query and body by itself, since their form is another protocol's. */
  readonly asSent?: boolean | undefined;
  /** Errors beyond those that all operations of this form have. */
  readonly errors?: readonly ErrorKind[] | undefined;
}

/** Headings of the document, in its order. */
export const TAGS = {
  repositories: 'Repositories, and what is kept of them.',
  packages: 'Packages and versions that are kept, over all formats.',
  space: 'Room: usage, pins, purges, collection, verification, cleanup.',
  jobs: 'Long work of this server process.',
  policy: 'Rules, exceptions, quarantine, decisions.',
  scans: 'Scanners, their jobs and reports.',
  access: 'Keys and sessions.',
  server: 'The server itself.',
} as const;

export type Tag = keyof typeof TAGS;

/** A value of JSON that is only read. */
export type Sent<T> = T extends readonly (infer Item)[]
  ? readonly Sent<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Sent<T[Key]> }
    : T;

type Output<Schema, Otherwise> = Schema extends z.ZodType ? z.output<Schema> : Otherwise;
type BodyOf<O extends Operation> = O['body'] extends { readonly schema: infer Schema }
  ? Output<Schema, undefined>
  : undefined;

/** A request that passed the guard, and whose parts are as they were declared. */
export interface OperationRequest<O extends Operation> {
  readonly parameters: Output<O['parameters'], Readonly<Record<never, never>>>;
  readonly query: Output<O['query'], Readonly<Record<never, never>>>;
  readonly body: BodyOf<O>;
  readonly ctx: Context;
}

type JsonOf<R> = R extends { readonly json: infer Schema extends z.ZodType } ? Sent<z.input<Schema>> : never;

/** An answer with one of the statuses that are declared, and what is declared for it. */
export type OperationAnswer<O extends Operation> = {
  [Status in keyof O['replies'] & number]:
    | { readonly status: Status; readonly json: JsonOf<O['replies'][Status]> }
    | { readonly status: Status; readonly text: string | Buffer | Readable; readonly type: string }
    | { readonly status: Status };
}[keyof O['replies'] & number];

/** Answers a request. @throws EntrepotError of a kind that is declared */
export type OperationHandler<O extends Operation> = (
  request: OperationRequest<O>,
) => Promise<OperationAnswer<O>> | OperationAnswer<O>;

/** Declares an operation. */
export function operation<const O extends Operation>(declared: O): O {
  return declared;
}

/** An answer with JSON. */
export function json<Status extends number, Json>(status: Status, value: Json) {
  return { status, json: value };
}

/** An answer with a text of another media type; a stream has no end that is known. */
export function text<Status extends number>(status: Status, type: string, value: string | Buffer | Readable) {
  return { status, type, text: value };
}

/** An answer without a body. */
export function empty<Status extends number>(status: Status) {
  return { status };
}
