import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { LoadedConfig } from '../config/load.js';
import { finding, type Finding } from './finding.js';

const DAY = 86_400_000;
/** A certificate that ends sooner is worth a warning: those of ACME are renewed a month before. */
const SOON = 14 * DAY;

/** Until when the certificates of the listeners are valid. Those that cannot be used are problems of the configuration. */
export function checkCertificates({ config }: LoadedConfig, now: number): Finding[] {
  const listeners = [config.server, ...Object.values(config.repositories ?? {})];
  const files = new Set(listeners.flatMap(({ tls }) => (tls ? [tls.cert] : [])));
  return [...files].flatMap((file) => certificateFinding(file, now));
}

function certificateFinding(file: string, now: number): Finding[] {
  let ends: string;
  try {
    ends = new X509Certificate(readFileSync(file)).validTo;
  } catch {
    return [];
  }
  const left = Date.parse(ends) - now;
  const status = left <= 0 ? 'fail' : left < SOON ? 'warn' : 'ok';
  const day = new Date(Date.parse(ends)).toISOString().slice(0, 10);
  return [finding(status, 'certificate', `${file} ${left <= 0 ? 'ended' : 'is valid until'} ${day}`)];
}
