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

/** Whether an exception is to be in force. @throws EntrepotError `bad-request` */
export function activeOf(value: unknown): boolean {
  const form = typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  const { active, ...others } = form;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new EntrepotError('bad-request', `${unknown}: expected nothing but active`);
  if (typeof active !== 'boolean') throw new EntrepotError('bad-request', 'active: expected true or false');
  return active;
}

/** Texts that a form must, or may, have. @throws EntrepotError `bad-request` */
export function fieldsOf(
  value: unknown,
  required: readonly string[],
  optional: readonly string[] = [],
): Readonly<Record<string, string | undefined>> {
  const form = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
  const entries = Object.entries(form);
  const unknown = entries.find(([key]) => !required.includes(key) && !optional.includes(key));
  if (unknown !== undefined) throw new EntrepotError('bad-request', `${unknown[0]}: unknown key`);
  const missing = required.find((key) => (form as Record<string, unknown>)[key] === undefined);
  if (missing !== undefined) throw new EntrepotError('bad-request', `${missing}: expected a text`);
  for (const [key, one] of entries) {
    if (typeof one !== 'string' || one === '' || one.length > 500) {
      throw new EntrepotError('bad-request', `${key}: expected a text of at most 500 characters`);
    }
    plain(key, one);
  }
  return form as Readonly<Record<string, string>>;
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
