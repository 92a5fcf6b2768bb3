import { readFileSync } from 'node:fs';
import { EntrepotError } from '@entrepot/core';

/**
 * Reads a file of authorities, PEM.
 * @param key of the configuration that names it
 * @throws EntrepotError `configuration` when it cannot be read
 */
export function readAuthorities(key: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const message = `${key}: the file ${file} cannot be read (${code}); set a file with certificates, PEM`;
    throw new EntrepotError('configuration', message, { cause });
  }
}
