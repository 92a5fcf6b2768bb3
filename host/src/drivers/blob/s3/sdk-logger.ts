import type { Logger } from '@entrepot/core';

/** A body that is sent again is opened again by us. */
const EXPECTED = 'An error was encountered in a non-retryable streaming request.';

/** The logger of the SDK: its warnings go to ours, each once. It would write them to the console. */
export function sdkLogger(logger: Logger) {
  const known = new Set<string>();
  const tell = (...content: unknown[]): void => {
    const warning = content.map(String).join(' ');
    // The first line: others hold numbers that change.
    const [subject = ''] = warning.replaceAll(/\d+/g, '0').split('\n');
    if (subject === EXPECTED || known.has(subject)) return;
    known.add(subject);
    logger.warn({ warning }, 'a warning of the S3 client');
  };
  const ignore = (): void => {};
  // Every error is thrown as well.
  return { trace: ignore, debug: ignore, info: ignore, warn: tell, error: ignore };
}
