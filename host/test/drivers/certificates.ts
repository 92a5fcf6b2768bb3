import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Files with a certificate that is its own authority, and its key. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** Makes a certificate for an address, for one test. */
export function makeCertificate(address = '127.0.0.1'): Pair {
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-certificates-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'];
  const names = ['-subj', `/CN=${address}`, '-addext', `subjectAltName=IP:${address}`];
  execFileSync('openssl', [...words, ...names, '-keyout', key, '-out', cert], { cwd: folder, stdio: 'pipe' });
  return { cert, key };
}
