import type { Content, Scanner } from '@entrepot/core';
import type { ScannerFixture } from '@entrepot/core/testing';
import type { FixedScannerOptions } from './fixed-scanner.js';

/** `text` as plugins read it. */
export function contentOf(text: string): Content {
  return {
    size: Buffer.byteLength(text),
    mediaType: 'application/octet-stream',
    async *stream() {
      yield Buffer.from(text);
    },
    bytes: async () => Buffer.from(text),
  };
}

/** A scanner that knows one finding. `create` makes the scanner, or a wrong one. */
export function scannerFixture(
  create: (options: FixedScannerOptions) => Scanner & { goOffline?(): void; setFindings?(findings: object): void },
  needs: 'coordinates' | 'content' = 'coordinates',
): ScannerFixture {
  const findingId = 'CVE-2026-0001';
  const scanner = create({
    needs,
    findings: {
      'pkg:npm/bad@1.0.0': [
        { id: findingId, aliases: [], severity: 'high', cvss: 7.5, fixedIn: ['1.0.1'], source: 'fixed' },
      ],
    },
  });
  const content = needs === 'content' ? contentOf('bytes') : undefined;
  return {
    scanner,
    clean: { coordinates: { ecosystem: 'npm', name: 'good', version: '1.0.0' }, content },
    vulnerable: { coordinates: { ecosystem: 'npm', name: 'bad', version: '1.0.0' }, content },
    findingId,
    breakDown: () => scanner.goOffline?.(),
    change: () => scanner.setFindings?.({}),
  };
}
