/** Facts that go with a log message. Never a secret, never a URL with credentials. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Structured logging: a static message and fields. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

/** A logger that keeps nothing. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
};
