import { createServer } from 'node:http';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock, NodeTransport } from '@entrepot/core/testing';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT, type CryptoKey } from 'jose';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openJwtVerifier, type JwtVerifier } from '../../src/access/jwt-verifier.js';
import type { IssuerConfig } from '../../src/config/schema.js';

const RSA = await generateKeyPair('RS256', { extractable: true });
const OTHER = await generateKeyPair('RS256');
const EC = await generateKeyPair('ES256', { extractable: true });
const ED = await generateKeyPair('EdDSA', { extractable: true });
const PEM = await exportSPKI(RSA.publicKey);

const clock = new ManualClock();
const NOW = Math.floor(clock.now() / 1000);

function config(more: Partial<IssuerConfig>): IssuerConfig {
  return {
    issuer: 'https://id.example.com',
    audience: 'entrepot',
    algorithms: ['RS256', 'ES256', 'EdDSA'],
    clockTolerance: 30_000,
    claim: 'scope',
    ...more,
  };
}

function file(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-jwt-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'key'), content);
  return join(folder, 'key');
}

async function open(content: string, more: Partial<IssuerConfig> = {}): Promise<JwtVerifier> {
  return await openJwtVerifier(config({ keyFile: file(content), ...more }), clock, new NodeTransport());
}

interface Claims {
  readonly iss?: string | undefined;
  readonly aud?: string | string[] | undefined;
  readonly exp?: number | undefined;
  readonly nbf?: number | undefined;
  readonly sub?: string | undefined;
}

const GOOD: Claims = { iss: 'https://id.example.com', aud: 'entrepot', exp: NOW + 60, sub: 'robot' };

async function sign(
  claims: Claims,
  key: CryptoKey | Uint8Array = RSA.privateKey,
  header: object = {},
): Promise<string> {
  const known = Object.entries({ ...GOOD, ...claims }).filter(([, value]) => value !== undefined);
  return await new SignJWT(Object.fromEntries(known)).setProtectedHeader({ alg: 'RS256', ...header }).sign(key);
}

function encoded(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

describe('JwtVerifier', () => {
  it('takes a good token, and says whose it is', async () => {
    const verifier = await open(PEM);

    expect(await verifier.verify(await sign({}))).toMatchObject({ subject: 'robot', expiresAt: (NOW + 90) * 1000 });
    expect(await verifier.verify(await sign({ aud: ['x', 'entrepot'] }))).toMatchObject({ subject: 'robot' });
    expect(await verifier.verify(await sign({ exp: NOW - 20 }))).toMatchObject({ subject: 'robot' });
  });

  it('takes tokens that name neither issuer nor audience where it is told to, and says so where it is not', async () => {
    const bare = await sign({ iss: undefined, aud: undefined, sub: undefined });
    await expect((await open(PEM)).verify(bare)).rejects.toThrow('names no issuer (`iss`); `access.jwt.issuer: false`');
    await expect((await open(PEM, { issuer: false })).verify(bare)).rejects.toThrow('`access.jwt.audience: false`');
    const lax = await open(PEM, { issuer: false, audience: false });
    expect(await lax.verify(bare)).toMatchObject({ subject: 'a token without a subject' });
    await expect(lax.verify(await sign({ exp: undefined }))).rejects.toThrow('does not say when it ends');
    await expect(lax.verify(await sign({}, OTHER.privateKey))).rejects.toThrow('its signature is wrong');
  });

  it.each<[what: string, token: () => Promise<string> | string]>([
    ['none for an algorithm', () => new UnsecuredJWT({ ...GOOD } as Record<string, unknown>).encode()],
    ['None for an algorithm', () => `${encoded({ alg: 'None' })}.${encoded(GOOD)}.`],
    ['no algorithm', () => `${encoded({ typ: 'JWT' })}.${encoded(GOOD)}.`],
    ['HS256 with the public key', () => sign({}, new TextEncoder().encode(PEM), { alg: 'HS256' })],
    ['another algorithm of the same key', async () => (await sign({})).replace(/^[^.]+/, encoded({ alg: 'PS256' }))],
    ['RS512', async () => (await sign({})).replace(/^[^.]+/, encoded({ alg: 'RS512' }))],
    ['another key', () => sign({}, OTHER.privateKey)],
    [
      'a key of its own in its header',
      async () => sign({}, OTHER.privateKey, { jwk: await exportJWK(OTHER.publicKey) }),
    ],
    ['a URL of keys in its header', () => sign({}, OTHER.privateKey, { jku: 'https://evil.example.com/keys' })],
    [
      'an extension that must be understood',
      async () => {
        const [, payload, signature] = (await sign({})).split('.');
        return `${encoded({ alg: 'RS256', crit: ['x'], x: 1 })}.${payload}.${signature}`;
      },
    ],
    [
      'claims that were changed',
      async () => {
        const [header, , signature] = (await sign({})).split('.');
        return `${header}.${encoded({ ...GOOD, sub: 'root' })}.${signature}`;
      },
    ],
    ['no signature', async () => (await sign({})).replace(/[^.]+$/, '')],
    ['an end in the past', () => sign({ exp: NOW - 31 })],
    ['no end', () => sign({ exp: undefined })],
    ['a beginning in the future', () => sign({ nbf: NOW + 31 })],
    ['another audience', () => sign({ aud: 'entrepot2' })],
    ['no audience', () => sign({ aud: undefined })],
    ['another issuer', () => sign({ iss: 'https://id.example.com/' })],
    ['no issuer', () => sign({ iss: undefined })],
    ['three parts of nothing', () => '..'],
    ['words', () => 'not-a-token'],
    ['a JWE', () => 'a.b.c.d.e'],
  ])('refuses a token with %s', async (_what, token) => {
    const verifier = await open(PEM);

    const refused = verifier.verify(await token());

    await expect(refused).rejects.toMatchObject({ kind: 'unauthorized', status: 401 });
    await expect(refused).rejects.not.toThrow(/robot|root/);
  });

  it.each<[reason: string, token: () => Promise<string> | string]>([
    ['it has expired', () => sign({ exp: NOW - 31 })],
    ['its signature is wrong', () => sign({}, OTHER.privateKey)],
    [
      'its algorithm is not one that is taken here',
      () => new UnsecuredJWT({ ...GOOD } as Record<string, unknown>).encode(),
    ],
  ])('says why a token is refused: %s', async (reason, token) => {
    await expect((await open(PEM)).verify(await token())).rejects.toThrow(`The token is refused: ${reason}`);
  });

  it.each([
    ['ES256', EC],
    ['EdDSA', ED],
  ])('takes %s by a PEM key and by a JWK, and nothing else by it', async (alg, pair) => {
    const token = await sign({}, pair.privateKey, { alg });
    for (const content of [await exportSPKI(pair.publicKey), JSON.stringify(await exportJWK(pair.publicKey))]) {
      const verifier = await open(content);
      expect(await verifier.verify(token)).toMatchObject({ subject: 'robot' });
      await expect(verifier.verify(await sign({}))).rejects.toMatchObject({ status: 401 });
    }
  });

  it('does not take an algorithm that is not configured', async () => {
    const keys = {
      keys: [
        { ...(await exportJWK(EC.publicKey)), kid: 'ec' },
        { ...(await exportJWK(RSA.publicKey)), kid: 'rsa' },
      ],
    };
    const verifier = await open(JSON.stringify(keys), { algorithms: ['ES256'] });

    expect(await verifier.verify(await sign({}, EC.privateKey, { alg: 'ES256' }))).toMatchObject({ subject: 'robot' });
    await expect(verifier.verify(await sign({}))).rejects.toMatchObject({ status: 401 });
  });

  it.each<[string, string, Partial<IssuerConfig>, RegExp]>([
    ['no key', 'hello', {}, /is no public key/],
    ['half a JWK set', '{"keys":', {}, /is no JWK/],
    ['a key for another algorithm', PEM, { algorithms: ['ES256'] }, /holds no key for ES256/],
  ])('refuses a file with %s', async (_what, content, more, message) => {
    await expect(open(content, more)).rejects.toThrow(message);
  });

  it('fetches keys once, and uses them while their URL is out of order', async () => {
    let status = 200;
    let asked = 0;
    const body = JSON.stringify({ keys: [{ ...(await exportJWK(RSA.publicKey)), kid: 'one', alg: 'RS256' }] });
    const server = createServer((_request, response) => {
      asked += 1;
      response.writeHead(status).end(body);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const keysUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    const transport = new NodeTransport();
    onTestFinished(() => transport.dispose());
    const broken = await openJwtVerifier(config({ keysUrl }), clock, transport);
    const token = await sign({}, RSA.privateKey, { kid: 'one' });

    status = 302;
    await expect(broken.verify(token)).rejects.toMatchObject({ kind: 'upstream-unavailable', status: 503 });
    status = 200;
    const verifier = await openJwtVerifier(config({ keysUrl }), clock, transport);
    await Promise.all([verifier.verify(token), verifier.verify(token)]);
    status = 500;

    expect(await verifier.verify(token)).toMatchObject({ subject: 'robot' });
    const unknown = await sign({}, RSA.privateKey, { kid: 'two' });
    await expect(verifier.verify(unknown)).rejects.toMatchObject({ status: 401 });
    expect(asked).toBe(2);
  });
});
