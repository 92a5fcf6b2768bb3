import { stripVTControlCharacters } from 'node:util';
import type { LogFields, Logger } from '@entrepot/core';

/** The message of the access log. */
export const REQUEST = 'request';

/** Which messages are written, the least important that is; `silent`: none. */
export type LogLevel = Level | 'silent';

type Level = 'debug' | 'info' | 'warn' | 'error';

const LEVELS: readonly Level[] = ['debug', 'info', 'warn', 'error'];
/** Values that are longer are cut: a line is for reading. */
const LONGEST_VALUE = 300;

/** A logger for people: one short line for each message, with the stack of an error below it. */
export function textLogger(level: LogLevel, write: (line: string) => void): Logger {
  const least = level === 'silent' ? LEVELS.length : LEVELS.indexOf(level);
  const at = (own: Level) => (fields: LogFields, message: string) => {
    if (LEVELS.indexOf(own) >= least) write(textLine(new Date(), own, fields, message));
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** `17:25:01 info  message key=value …`; of a request what became of it. The time is that of this machine. */
export function textLine(time: Date, level: Level, fields: LogFields, message: string): string {
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => String(part).padStart(2, '0'));
  const { err, error = err, ...others } = fields;
  const said = message === REQUEST ? requestText(others) : `${message}${pairs(others)}`;
  const failure = error === undefined ? '' : level === 'error' ? `\n${stackOf(error)}` : `: ${messageOf(error)}`;
  return `${clock.join(':')} ${level.padEnd(5)} ${printable(said)}${printable(failure)}\n`;
}

/** `GET /npm/left-pad 200 miss 12.3 kB 41ms`, then what else is known of it. */
function requestText(fields: LogFields): string {
  const {
    method,
    path,
    status,
    outcome,
    bytes,
    duration,
    id: _id,
    resource: _class,
    repository: _name,
    ...others
  } = fields;
  const time = `${Math.round(Number(duration))}ms`;
  const parts = [method, path, status, outcome, sizeText(Number(bytes)), time];
  return `${parts.filter((part) => part !== undefined).join(' ')}${pairs(others)}`;
}

function sizeText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function pairs(fields: LogFields): string {
  const known = Object.entries(fields).filter(([, value]) => value !== undefined);
  return known.map(([key, value]) => `  ${key}=${valueText(value)}`).join('');
}

function valueText(value: unknown): string {
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value.join(', ') || 'none';
  if (value instanceof Error) return value.message;
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}

/** Strips control characters: text from outside must not steer a terminal. */
function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/[^\P{Cc}\n\t]/gu, '?');
}
