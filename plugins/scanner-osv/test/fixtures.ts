import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import { afterEach } from 'vitest';
import { type Finding, parseOptions, type Scanner, silentLogger } from '@entrepot/core';
import { ManualClock, NodeTransport } from '@entrepot/core/testing';
import plugin from '@entrepot/plugin-scanner-osv';

/** A record in OSV form, as far as a test says; the rest is filled in. */
export type RecordFixture = { readonly id: string } & Readonly<Record<string, unknown>>;

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Runs after the test. */
export function onCleanup(cleanup: () => Promise<void> | void): void {
  cleanups.push(cleanup);
}

/** A folder of the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'osv-test-'));
  onCleanup(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A record of one package with one range. */
export function record(
  id: string,
  ecosystem: string,
  name: string,
  events: readonly object[],
  rest: Readonly<Record<string, unknown>> = {},
): RecordFixture {
  const type = ['npm', 'Go'].includes(ecosystem) ? 'SEMVER' : 'ECOSYSTEM';
  return {
    id,
    modified: '2026-01-01T00:00:00Z',
    affected: [{ package: { ecosystem, name }, ranges: [{ type, events }] }],
    ...rest,
  };
}

/** A ZIP archive of `files`. */
export function zip(files: Readonly<Record<string, string>>, stored = false): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const content = Buffer.from(text);
    const bytes = stored ? content : deflateRawSync(content);
    const head = Buffer.alloc(26);
    head.writeUInt16LE(20, 0);
    head.writeUInt16LE(stored ? 0 : 8, 4);
    head.writeUInt32LE(crc32(content), 10);
    head.writeUInt32LE(bytes.length, 14);
    head.writeUInt32LE(content.length, 18);
    head.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), head, Buffer.from(name), bytes]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), head, tail, Buffer.from(name)]));
    parts.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(directory.length, 8);
  end.writeUInt16LE(directory.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, central, end]);
}

/** The dump of some records. */
export function dump(records: readonly RecordFixture[]): Buffer {
  return zip(Object.fromEntries(records.map((each) => [`${each.id}.json`, JSON.stringify(each)])));
}

/** Writes `<ecosystem>/all.zip` below `folder`. */
export function writeDumps(folder: string, dumps: Readonly<Record<string, readonly RecordFixture[]>>): void {
  for (const [ecosystem, records] of Object.entries(dumps)) {
    const path = join(folder, ecosystem, 'all.zip');
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, dump(records));
  }
}

/** A scanner, and the time it goes by. */
export interface OpenScanner {
  readonly scanner: Scanner;
  readonly clock: ManualClock;
}

/** The scanner that the plugin makes of `options`. Disposed of after the test. */
export async function openScanner(
  options: Readonly<Record<string, unknown>>,
  clock = new ManualClock(),
): Promise<OpenScanner> {
  const parsed = await parseOptions(plugin.options, options);
  if (parsed.problems !== undefined) throw new Error(JSON.stringify(parsed.problems));
  const transport = new NodeTransport({ headTimeout: 300, idleTimeout: 300 });
  const services = { logger: silentLogger, clock, transport };
  const scanner = await plugin.create({ services, options: parsed.options });
  onCleanup(async () => {
    await scanner.dispose?.();
    await transport.dispose();
  });
  return { scanner, clock };
}

/** A scanner with a database of `dumps`. */
export async function scannerOf(
  dumps: Readonly<Record<string, readonly RecordFixture[]>>,
  options: Readonly<Record<string, unknown>> = {},
): Promise<OpenScanner & { readonly from: string; readonly directory: string }> {
  const from = join(temporaryFolder(), 'dumps');
  const directory = join(temporaryFolder(), 'database');
  writeDumps(from, dumps);
  const open = await openScanner({ from, directory, ...options });
  await open.scanner.update?.(live());
  return { ...open, from, directory };
}

export function live(): AbortSignal {
  return new AbortController().signal;
}

/** The ids of findings, sorted. */
export function idsOf(findings: readonly Finding[] | undefined): string[] | undefined {
  return findings?.map(({ id }) => id).sort();
}

/** A server on loopback. Closed after the test. */
export async function serve(handler: (request: IncomingMessage, reply: ServerResponse) => void): Promise<URL> {
  const server: Server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onCleanup(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

/** The bytes of a request. */
export async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString();
}
