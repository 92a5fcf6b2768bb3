import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { EntrepotError } from '@entrepot/core';
import { fileVersion, unreadable } from '../config/files.js';
import type { TlsConfig } from '../config/schema.js';

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
  return [cert, key, ...(ca === undefined ? [] : [ca])].map(fileVersion).join(' ');
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw unreadable(file, error);
  }
}
