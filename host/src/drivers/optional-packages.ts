import { readFileSync } from 'node:fs';
import { moduleResolve } from 'import-meta-resolve';
import { EntrepotError } from '@entrepot/core';

/** The packages that only a configuration with that driver needs. They are optional peers of this package. */
const PACKAGES = {
  s3: ['@aws-sdk/client-s3', '@smithy/node-http-handler', '@smithy/signature-v4'],
  redis: ['@keyv/redis'],
} as const;

const CONDITIONS = new Set(['node', 'import']);

/** A driver whose packages are not part of every installation. */
export type OptionalDriver = keyof typeof PACKAGES;

/** Says in a sentence which packages a driver lacks, and how to install them. Absent: none. */
export function lackOf(driver: OptionalDriver): string | undefined {
  const missing = PACKAGES[driver].filter((name) => !isInstalled(name));
  if (missing.length === 0) return undefined;
  const wanted = peerRanges();
  const command = ['npm install', ...missing.map((name) => `${name}@${wanted[name]?.replace('^', '')}`)].join(' ');
  return `the backend ${driver} needs packages that are not installed: ${command}`;
}

/** @throws EntrepotError `configuration`, with what to install */
export function assertInstalled(driver: OptionalDriver): void {
  const lack = lackOf(driver);
  if (lack !== undefined) throw new EntrepotError('configuration', lack);
}

function isInstalled(name: string): boolean {
  try {
    moduleResolve(name, new URL(import.meta.url), CONDITIONS);
    return true;
  } catch {
    return false;
  }
}

function peerRanges(): Readonly<Record<string, string>> {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { readonly peerDependencies: Record<string, string> }).peerDependencies;
}
