import { EntrepotError, type ErrorKind } from '@entrepot/core';
import { z } from 'zod';
import { STATUS_CODES } from '../../node-http.js';
import { type Operation, type Reply, TAGS } from './operation.js';
import { NAMED, problem } from './schemas.js';

/** An OpenAPI document, or a part of one. */
export type Part = { readonly [member: string]: unknown };

const SCHEMES: Readonly<Record<Operation['access'], readonly Part[]>> = {
  everybody: [],
  reader: [{}, { bearer: [] }, { basic: [] }],
  administrator: [{ bearer: [] }, { basic: [] }],
  delegate: [{ bearer: [] }, { basic: [] }],
  metrics: [{}, { bearer: [] }],
};

/**
 * Describes operations in OpenAPI 3.1, from the schemas by which they read requests.
 * @param base the URL or the path of the server, without a slash at its end
 */
export function openApiOf(operations: readonly Operation[], version: string, base = ''): Part {
  const schemas = new Schemas(operations);
  const paths: Record<string, Record<string, Part>> = {};
  for (const operation of operations) (paths[operation.path] ??= {})[operation.method] = describe(operation, schemas);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Entrepot',
      version,
      description: 'Health, metrics and administration of an Entrepot server.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: base === '' ? '/' : base }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: schemas.named,
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'The token of administration, or one of its provider.' },
        basic: { type: 'http', scheme: 'basic', description: 'A user of the configuration.' },
      },
    },
  };
}

/** Answered before it is known what a request is for, and without a body. */
const BARE = 431;
/** The statuses of targets that are too long. */
const TOO_LONG = [414, BARE];

/** The statuses of errors that an operation may answer with, but for those of the server: 5XX. */
export function errorStatuses({ access, parameters, query, body, errors = [] }: Operation): readonly number[] {
  const kinds = new Set<ErrorKind>(errors);
  if (query !== 'ignored' || parameters !== undefined || body !== undefined) kinds.add('bad-request');
  if (access !== 'everybody') kinds.add('unauthorized');
  if (access === 'administrator' || access === 'delegate') kinds.add('forbidden');
  if (body !== undefined) kinds.add('too-large');
  const statuses = new Set(Array.from(kinds, (kind) => new EntrepotError(kind, '').status));
  if (body !== undefined) statuses.add(415);
  if (parameters !== undefined || (query !== undefined && query !== 'ignored'))
    for (const status of TOO_LONG) statuses.add(status);
  return [...statuses].filter((status) => status < 500).sort((one, two) => one - two);
}

function describe(operation: Operation, schemas: Schemas): Part {
  const { id, tag, summary, description, access, parameters, query, body, replies } = operation;
  const places = [
    ...parametersOf(operation, 'path', parameters, schemas),
    ...parametersOf(operation, 'query', query === 'ignored' ? undefined : query, schemas),
  ];
  const succeeded = Object.entries(replies).map(([status, reply]) => [
    status,
    replyOf(reply, reply.json && schemas.of(operation, status, reply.json)),
  ]);
  const failed = [...errorStatuses(operation), '5XX' as const].flatMap((status) =>
    status in replies ? [] : [[String(status), failureOf(status)] as const],
  );
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    security: SCHEMES[access],
    ...(places.length > 0 && { parameters: places }),
    ...(body !== undefined && {
      requestBody: {
        required: body.optional !== true,
        content: contentOf(body.types ?? ['application/json'], schemas.of(operation, 'body', body.schema)),
      },
    }),
    responses: Object.fromEntries([...succeeded, ...failed]),
  };
}

function parametersOf(
  operation: Operation,
  place: 'path' | 'query',
  schema: z.ZodObject | undefined,
  schemas: Schemas,
): readonly Part[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = schemas.of(operation, PARTS[place], schema) as {
    readonly properties?: Readonly<Record<string, Part>>;
    readonly required?: readonly string[];
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description !== undefined && { description }),
    schema: rest,
  }));
}

const PARTS = { path: 'parameters', query: 'query' } as const;

function replyOf({ description, jsonType = 'application/json', texts = [] }: Reply, json: Part | undefined): Part {
  const content = { ...(json && contentOf([jsonType], json)), ...contentOf(texts, { type: 'string' }) };
  return { description, ...(Object.keys(content).length > 0 && { content }) };
}

function failureOf(status: number | '5XX'): Part {
  if (status === BARE) return { description: `${STATUS_CODES[status]}.` };
  const description = status === '5XX' ? 'The server, or something that it needs, fails.' : `${STATUS_CODES[status]}.`;
  return { description, content: contentOf(['application/problem+json'], PROBLEM) };
}

const PROBLEM = { $ref: `#/components/schemas/${NAMED.get(problem)?.id}` };

function contentOf(types: readonly string[], schema: Part): Part {
  return Object.fromEntries(types.map((type) => [type, { schema }]));
}

/** The schemas of operations as JSON Schema: those with a name by themselves, the others by operation and part. */
class Schemas {
  readonly named: Readonly<Record<string, Part>>;
  readonly #own = new Map<string, Part>();

  constructor(operations: readonly Operation[]) {
    const own = new Set<string>();
    const registry = z.registry<{ id: string }>();
    const descriptions = new Map<string, string>();
    for (const [schema, { id, description }] of NAMED) {
      registry.add(schema, { id });
      descriptions.set(id, description);
    }
    for (const operation of operations) {
      for (const [part, schema] of partsOf(operation)) {
        if (NAMED.has(schema)) continue;
        const id = `${operation.id} ${part}`;
        own.add(id);
        // The same schema may stand in several places.
        registry.add(schema.clone(), { id });
      }
    }
    const { schemas } = z.toJSONSchema(registry, {
      io: 'input',
      unrepresentable: 'any',
      uri: (id) => `#/components/schemas/${id}`,
      override: ({ jsonSchema }) => {
        // Bounds that every JSON number of a program has.
        if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
        if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      },
    });
    const named: Record<string, Part> = {};
    for (const [id, { $schema: _dialect, $id: _id, ...schema }] of Object.entries(schemas)) {
      if (own.has(id)) this.#own.set(id, schema);
      else named[id] = { description: descriptions.get(id), ...schema };
    }
    this.named = named;
  }

  /** The schema of a part of an operation. */
  of(operation: Operation, part: string, schema: z.ZodType): Part {
    const known = NAMED.get(schema);
    if (known !== undefined) return { $ref: `#/components/schemas/${known.id}` };
    return this.#own.get(`${operation.id} ${part}`) as Part;
  }
}

function partsOf({ parameters, query, body, replies }: Operation): readonly (readonly [string, z.ZodType])[] {
  const parts = {
    parameters,
    query: query === 'ignored' ? undefined : query,
    body: body?.schema,
    ...Object.fromEntries(Object.entries(replies).map(([status, { json }]) => [status, json])),
  };
  return Object.entries(parts).filter((part): part is [string, z.ZodType] => part[1] !== undefined);
}
