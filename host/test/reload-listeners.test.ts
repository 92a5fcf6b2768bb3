import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { makeCertificate, type Pair } from './drivers/certificates.js';
import { freePort } from './free-port.js';
import { problemsOf, serve, statusOf, upstream } from './reloading.js';

describe('listeners of another configuration', () => {
  it('are opened and closed as the configuration names them', async () => {
    const [first, second, apart] = [await freePort(), await freePort(), await freePort()];
    const at = (port: number, more = '') =>
      `server: { listen: "127.0.0.1:${port}" }\nrepositories: { one: { type: files, kind: hosted${more} } }`;
    const { reload } = await serve(at(first));
    await statusOf(`http://127.0.0.1:${first}/one/a`, { method: 'PUT', body: 'a' });
    await reload(at(second, `, listen: "127.0.0.1:${apart}"`));
    expect(await statusOf(`http://127.0.0.1:${apart}/one/a`)).toBe(200);
    expect(await statusOf(`http://127.0.0.1:${second}/-/readyz`)).toBe(200);
    await expect(fetch(`http://127.0.0.1:${first}/one/a`)).rejects.toThrow();
    // They change places.
    await reload(at(apart, `, listen: "127.0.0.1:${second}"`));
    expect(await statusOf(`http://127.0.0.1:${second}/one/a`)).toBe(200);
    expect(await statusOf(`http://127.0.0.1:${apart}/-/readyz`)).toBe(200);
  });

  it('have the certificates that the configuration names, and need a restart to speak TLS', async () => {
    const [one, other] = [makeCertificate(), makeCertificate()];
    const at = (tls: string) => `server: { listen: "127.0.0.1:0"${tls} }\nrepositories: {}`;
    const named = ({ cert, key }: Pair) => `, tls: { cert: "${cert}", key: "${key}" }`;
    const { host, load, url, reload } = await serve(at(named(one)));
    const served = async (): Promise<string> => {
      const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const found = socket.getPeerX509Certificate()?.fingerprint256 ?? '';
      socket.destroy();
      return found;
    };
    const printOf = ({ cert }: Pair): string => new X509Certificate(readFileSync(cert)).fingerprint256;
    expect(await served()).toBe(printOf(one));
    await reload(at(named(other)));
    expect(await served()).toBe(printOf(other));
    expect(await problemsOf(host.prepare(await load(at(''))))).toMatchObject([
      { path: 'server.tls', message: expect.stringContaining('restart') as string },
    ]);
    expect(await served()).toBe(printOf(other));
  });

  it('stay where one of them cannot be opened, or needs a restart', async () => {
    const taken = new URL(await upstream((_request, response) => response.end('another server')));
    const port = await freePort();
    const at = (listen: string) =>
      `server: { listen: "${listen}" }\nrepositories: { one: { type: files, kind: hosted } }`;
    const { host, load, url } = await serve(at(`127.0.0.1:${port}`));
    expect(await problemsOf(host.prepare(await load(at(taken.host))))).toMatchObject({ code: 'EADDRINUSE' });
    expect(await problemsOf(host.prepare(await load(at(`:${port}`))))).toMatchObject([
      { path: 'server.listen', message: expect.stringContaining('restart') as string },
    ]);
    expect(await statusOf(`${url}/-/readyz`)).toBe(200);
  });
});
