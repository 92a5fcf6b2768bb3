import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { EntrepotError } from '@entrepot/core';
import type { TlsConfig } from '../config/index.js';

/**
 * The certificates of `tls`, as their files are now.
 * @throws EntrepotError `configuration` for files that cannot be read, or that do not belong together
 */
export function readCertificates({ cert, key, ca }: TlsConfig): SecureContextOptions {
  const options = { cert: read(cert), key: read(key), ...(ca !== undefined && { ca: read(ca) }) };
  try {
    createSecureContext(options);
    return options;
  } catch (error) {
    const reason = (error as Error).message;
    throw new EntrepotError('configuration', `expected a PEM certificate and its private key: ${reason}`);
  }
}

/** A version that changes with the files. An unreadable file has a version too. */
export function certificatesVersion({ cert, key, ca }: TlsConfig): string {
  return [cert, key, ...(ca === undefined ? [] : [ca])].map(versionOf).join(' ');
}

function versionOf(file: string): string {
  const found = statSync(file, { throwIfNoEntry: false });
  return found === undefined ? 'absent' : `${found.ino}-${found.size}-${found.mtimeMs}`;
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new EntrepotError('configuration', `the file ${file} cannot be read (${code})`);
  }
}
