import type { LogFields, Logger } from '@entrepot/core';
import pino from 'pino';
import { openLogFile } from './log-file.js';
import { textLogger, type LogLevel } from './text-log.js';

/** Lines are written together once there are so many characters: a system call for each would cost more than a hit. */
const BATCH = 32 * 1024;
/** The longest that a line waits for others, in milliseconds. */
const LONGEST_WAIT = 100;

/** The format of lines: JSON for programs, text for people, or by the kind of standard output. */
export type LogFormat = 'auto' | 'json' | 'text';

/** Destinations of lines, by the file; standard output has none. Of all loggers: their lines stay in order. */
const outputs = new Map<string, LogOutput>();

/** A place for lines. */
interface LogOutput {
  write(line: string): void;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Absent: standard output. */
  readonly file?: string | undefined;
}

/** The logger of the process. @throws ConfigurationError for a file that cannot be written to */
export function createLogger({ level, format, file }: LoggerOptions): Logger {
  const output = outputOf(file);
  if (isText(format, file)) return textLogger(level, (line) => output.write(line));
  return pino(
    {
      level,
      base: null,
      serializers: { err: pino.stdSerializers.err, error: pino.stdSerializers.err },
      formatters: { level: (label) => ({ level: label }) },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    output,
  );
}

/** Whether lines are for people. */
export function isText(format: LogFormat, file?: string): boolean {
  return format === 'text' || (format === 'auto' && file === undefined && process.stdout.isTTY);
}

function outputOf(file: string | undefined): LogOutput {
  const known = outputs.get(file ?? '');
  if (known !== undefined) return known;
  const output = batchedOutput(file === undefined ? standardOutput() : openLogFile(file));
  outputs.set(file ?? '', output);
  return output;
}

/** A logger that passes everything on to another one, which may change. */
export class SwappableLogger implements Logger {
  #current: Logger;

  constructor(first: Logger) {
    this.#current = first;
  }

  swap(next: Logger): void {
    this.#current = next;
  }

  debug(fields: LogFields, message: string): void {
    this.#current.debug(fields, message);
  }

  info(fields: LogFields, message: string): void {
    this.#current.info(fields, message);
  }

  warn(fields: LogFields, message: string): void {
    this.#current.warn(fields, message);
  }

  error(fields: LogFields, message: string): void {
    this.#current.error(fields, message);
  }
}

/** A logger that adds `fields` to every message. */
export function withFields(logger: Logger, fields: LogFields): Logger {
  return {
    debug: (more, message) => logger.debug({ ...fields, ...more }, message),
    info: (more, message) => logger.info({ ...fields, ...more }, message),
    warn: (more, message) => logger.warn({ ...fields, ...more }, message),
    error: (more, message) => logger.error({ ...fields, ...more }, message),
  };
}

/** Standard output. Pipes and files are written synchronously on Linux: nothing piles up here, and nothing is lost at the end. */
function standardOutput(): (batch: string) => void {
  // Whoever read the log has gone. That is no reason to stop serving.
  process.stdout.on('error', () => {});
  return (batch) => void process.stdout.write(batch);
}

/** Lines in batches; what waits is written when the process exits, whyever it does. */
function batchedOutput(write: (batch: string) => void): LogOutput {
  let waiting = '';
  let timer: NodeJS.Timeout | undefined;
  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    if (waiting === '') return;
    const batch = waiting;
    waiting = '';
    write(batch);
  }
  process.once('exit', flush);
  return {
    write(line) {
      waiting += line;
      if (waiting.length >= BATCH) flush();
      else timer ??= setTimeout(flush, LONGEST_WAIT).unref();
    },
  };
}
