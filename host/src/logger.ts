import type { LogFields, Logger } from '@entrepot/core';
import pino from 'pino';

/** Which messages are written, the least important that is; `silent`: none. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** The logger of the process: one JSON object a line, on standard output, written without holding up requests. */
export function createLogger(level: LogLevel): Logger {
  return pino(
    {
      level,
      base: null,
      serializers: { err: pino.stdSerializers.err, error: pino.stdSerializers.err },
      formatters: { level: (label) => ({ level: label }) },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    pino.destination({ dest: 1, sync: false }),
  );
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
