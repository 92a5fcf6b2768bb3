import { silentLogger, type LogFields } from '@entrepot/core';
import { expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { createHost } from '../../src/create-host.js';
import { basic, testFolder } from './server.js';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

it('says in the log who wrote, who read, and who was refused', async () => {
  const folder = testFolder();
  const users = '{ ci: { password: "${env:PASSWORD}", may: write }, dev: { password: "${env:PASSWORD}" } }';
  writeFileSync(
    join(folder, 'entrepot.yaml'),
    `repositories: { uploads: { type: files, kind: hosted, access: { users: ${users} } } }`,
  );
  const env = { ENTREPOT_SERVER_LISTEN: '127.0.0.1:0', PASSWORD: 'pass' };
  const lines: LogFields[] = [];
  const logger = {
    ...silentLogger,
    info: (fields: LogFields, message: string) => void (message === 'request' && lines.push(fields)),
  };
  const host = await createHost(await loadConfig({ env, cwd: folder }), { logger });
  onTestFinished(() => host.close());
  const [listener] = await host.listen();
  const ask = async (method: string, authorization?: string): Promise<number> => {
    const headers = authorization === undefined ? {} : { authorization };
    const body = method === 'PUT' ? 'content' : null;
    const reply = await fetch(`${listener?.url}/uploads/a.txt`, { method, headers, body });
    await reply.arrayBuffer();
    return reply.status;
  };
  expect(await ask('PUT', basic('ci', 'pass'))).toBe(201);
  expect(await ask('GET', basic('dev', 'pass'))).toBe(200);
  expect(await ask('GET', basic('dev', 'pass'))).toBe(200);
  expect(await ask('DELETE', basic('dev', 'pass'))).toBe(403);
  expect(await ask('DELETE', basic('dev', 'wrong'))).toBe(401);
  await host.close();
  expect(lines.map(({ method, status, user }) => [method, status, user])).toEqual([
    ['PUT', 201, 'ci'],
    ['GET', 200, 'dev'],
    ['GET', 200, 'dev'],
    ['DELETE', 403, 'dev'],
    ['DELETE', 401, undefined],
  ]);
});
