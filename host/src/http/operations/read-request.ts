import { EntrepotError, isPlainText } from '@entrepot/core';
import type { Context } from 'koa';
import { z } from 'zod';
import { readBody, readJson, readYaml } from '../read-body.js';
import type { Operation, RequestBody } from './operation.js';

/** The largest body of a request, unless its operation says otherwise, in bytes. */
const LARGEST_BODY = 256 * 1024;
const JSON_ALONE = ['application/json'] as const;
const NO_QUERY = z.strictObject({});

/**
 * Reads the query of a request: each parameter once, numbers and truth values as such.
 * @throws EntrepotError `bad-request`
 */
export function readQuery({ query: schema = NO_QUERY }: Operation, { querystring }: Context): unknown {
  if (schema === 'ignored') return {};
  const given: Record<string, unknown> = {};
  for (const [name, text] of new URLSearchParams(querystring)) {
    if (Object.hasOwn(given, name)) throw new EntrepotError('bad-request', `${printName(name)}: expected once`);
    const member = Object.hasOwn(schema.shape, name) ? schema.shape[name] : undefined;
    if (member === undefined) {
      const known = Object.keys(schema.shape).join(', ') || 'no parameters';
      throw new EntrepotError('bad-request', `${printName(name)}: unknown parameter; expected ${known}`);
    }
    if (!isPlainText(text))
      throw new EntrepotError('bad-request', `${name}: expected a text without NUL and lone surrogates`);
    Object.defineProperty(given, name, { value: valueOf(member, text), enumerable: true });
  }
  return checked(schema, given, 'query');
}

/**
 * Reads the parameters of a path, as the client sent it: those of a router are decoded, which is ambiguous.
 * @param path that the route of the operation takes
 * @throws EntrepotError `bad-request`
 */
export function readParameters({ path: template, parameters, slashes = [] }: Operation, path: string): unknown {
  if (parameters === undefined) return {};
  const segments = path.split('/');
  const names = template.split('/').map((part) => (part.startsWith('{') ? part.slice(1, -1) : undefined));
  // What is more than the template has is of the one parameter that may hold slashes.
  const more = segments.length - names.length;
  const long = names.findIndex((name) => name !== undefined && slashes.includes(name));
  const given: Record<string, string> = {};
  for (const [at, name] of names.entries()) {
    if (name === undefined) continue;
    const start = long >= 0 && at > long ? at + more : at;
    const text = segments.slice(start, start + (at === long ? more + 1 : 1)).join('/');
    // A package URL has escapes of its own. Clients that escape it as a whole send no colon.
    given[name] = text.startsWith('pkg:') ? text : decoded(text);
  }
  return checked(parameters, given, 'path');
}

/**
 * Reads the body of a request.
 * @throws EntrepotError `bad-request`, `too-large`; with the status 415 for another media type
 */
export async function readRequestBody(body: RequestBody | undefined, ctx: Context): Promise<unknown> {
  if (body === undefined) return undefined;
  const { schema, types = JSON_ALONE, optional = false, maxBytes = LARGEST_BODY } = body;
  const sent = await readBody(ctx.req, maxBytes);
  if (sent.length === 0) {
    if (optional) return checked(schema, {}, 'body');
    throw new EntrepotError('bad-request', `Body: expected ${types.join(' or ')}, found none`);
  }
  const type = (ctx.get('Content-Type').split(';', 1)[0] as string).trim().toLowerCase();
  if (!types.includes(type)) {
    const message = `Content-Type: expected ${types.join(' or ')}, found ${type === '' ? 'none' : printName(type)}`;
    throw new EntrepotError('bad-request', message, { status: 415, code: 'UNSUPPORTED_MEDIA_TYPE' });
  }
  return checked(schema, type.endsWith('yaml') ? await readYaml(sent) : readJson(sent), 'body');
}

/** Checks a value against its schema. @throws EntrepotError `bad-request` with everything that is wrong */
export function checked<Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => {
    const at = issue.path.join('.');
    if (issue.code === 'unrecognized_keys') {
      const known =
        at === '' && schema instanceof z.ZodObject ? `; expected ${Object.keys(schema.shape).join(', ')}` : '';
      return issue.keys.map((key) => `${at === '' ? '' : `${at}.`}${printName(key)}: unknown key${known}`).join('; ');
    }
    return `${at || what}: ${printIssue(issue)}`;
  });
  throw new EntrepotError('bad-request', lines.join('; ').slice(0, 4_000));
}

/** Expectations by the type of a schema, in the words of people. */
const EXPECTED: Readonly<Record<string, string>> = {
  boolean: 'true or false',
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  array: 'a list',
  object: 'an object',
};

function printIssue(issue: z.core.$ZodIssue): string {
  const expected = issue.code === 'invalid_type' ? EXPECTED[issue.expected] : undefined;
  return expected === undefined || !issue.message.startsWith('Invalid input') ? issue.message : `expected ${expected}`;
}

/** The value that a text of the query stands for. Where it stands for none, the schema refuses the text. */
function valueOf(schema: unknown, text: string): unknown {
  let { def } = schema as z.ZodType;
  while ('innerType' in def) ({ def } = def.innerType as z.ZodType);
  const { type } = def;
  if (type === 'number' && /^-?\d{1,15}$/.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

/** A part of a path without its escapes. @throws EntrepotError `bad-request` */
function decoded(text: string): string {
  let plain: string | undefined;
  try {
    plain = decodeURIComponent(text);
  } catch {
    // Then it is no text at all.
  }
  if (plain === undefined || !isPlainText(plain))
    throw new EntrepotError('bad-request', 'Path: expected UTF-8 in its escapes, without NUL');
  return plain;
}

function printName(name: string): string {
  return /^[\w.-]{1,100}$/.test(name) ? name : JSON.stringify(name.slice(0, 100));
}
