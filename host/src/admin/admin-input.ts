import { fieldsOf as membersOf } from '@entrepot/core/formats';
import { EntrepotError, isPlainText } from '@entrepot/core';
import type { Context } from 'koa';

/** A text of the query. @throws EntrepotError `bad-request` */
export function textOf({ query }: Context, name: string): string | undefined {
  const value = query[name];
  return typeof value === 'string' && value !== '' ? plain(name, value) : undefined;
}

/** A number of the query. @throws EntrepotError `bad-request` */
export function numberOf(ctx: Context, name: string, fallback: number, most: number): number {
  const text = textOf(ctx, name);
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return value;
  throw new EntrepotError('bad-request', `${name}: expected a whole number from 1 to ${most}`);
}

/** A part of the path. @throws EntrepotError `bad-request` */
export function parameterOf(ctx: Context, name: string): string {
  return plain(name, (ctx as Context & { readonly params: Readonly<Record<string, string>> }).params[name] ?? '');
}

/** Texts that a form must, or may, have. @throws EntrepotError `bad-request` */
export function fieldsOf<Required extends string, Optional extends string = never>(
  value: unknown,
  required: readonly Required[],
  optional: readonly Optional[] = [],
): Readonly<Record<Required, string> & Partial<Record<Optional, string>>> {
  const form = membersOf(value);
  const known = new Set<string>([...required, ...optional]);
  for (const key of Object.keys(form)) {
    if (!known.has(key)) throw new EntrepotError('bad-request', `${key}: unknown key`);
  }
  const missing = required.find((key) => form[key] === undefined);
  if (missing !== undefined) throw new EntrepotError('bad-request', `${missing}: expected a text`);
  for (const [key, one] of Object.entries(form)) {
    if (typeof one !== 'string' || one === '' || one.length > 500)
      throw new EntrepotError('bad-request', `${key}: expected a text of at most 500 characters`);
    plain(key, one);
  }
  return form as ReturnType<typeof fieldsOf<Required, Optional>>;
}

/** A part of a path without its escapes. @throws EntrepotError `bad-request` */
export function decoded(text: string): string {
  try {
    return plain('path', decodeURIComponent(text));
  } catch (cause) {
    if (cause instanceof EntrepotError) throw cause;
    throw new EntrepotError('bad-request', 'expected a path whose escapes can be decoded', { cause });
  }
}

/** `text`, which no database may cut or change. */
function plain(name: string, text: string): string {
  if (isPlainText(text)) return text;
  throw new EntrepotError('bad-request', `${name}: expected a text without NUL and lone surrogates`);
}
