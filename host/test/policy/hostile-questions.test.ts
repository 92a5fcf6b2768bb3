import { expect, it } from 'vitest';
import { serve } from './support.js';

const API = '/-/api/v1';

it('refuses a NUL in a question before a database meets it, wherever it stands', async () => {
  const { get } = await serve('');
  for (const path of [
    '/-/explain/pkg:npm/demo%00',
    '/-/explain/pkg:npm/demo@1.0.0%00',
    '/-/explain/pkg:npm/a%00b%2Fc',
    `${API}/explain?purl=pkg:npm/demo%2500`,
    `${API}/explain?purl=pkg:npm/demo&repository=%00`,
    `${API}/decisions?purl=pkg:npm/demo@%00`,
    `${API}/decisions?repository=npm%00`,
    `${API}/impact?purl=pkg:npm/demo%00`,
    `${API}/impact?advisory=GHSA-1%00`,
    `${API}/sbom?repository=%00`,
    `${API}/sbom?user=%00`,
    `${API}/packages/npm/demo/1.0.0%00/vulnerabilities`,
    `${API}/packages/npm/%00/1.0.0/vulnerabilities`,
    `${API}/packages/%00/demo/1.0.0/vulnerabilities`,
  ])
    expect([path, (await get(path)).status]).toEqual([path, 400]);
});

it('refuses a NUL and half a surrogate pair in a form', async () => {
  const { send } = await serve('');
  const form = { repository: 'npm', purl: 'pkg:npm/demo@1.0.0', by: 'ann', reason: 'it is broken' };
  const { purl } = form;
  for (const bad of ['x\0', 'x\ud800y']) {
    for (const key of Object.keys(form)) {
      const { status, text } = await send('POST', `${API}/quarantine/deny`, { ...form, [key]: `${purl}${bad}` });
      expect([key, status, text]).toEqual([key, 400, expect.stringContaining('expected a')]);
    }
    expect((await send('POST', `${API}/quarantine/forget`, { purl, repository: bad })).status).toBe(400);
    const release = { ...form, rules: 'wait', repository: bad };
    expect((await send('POST', `${API}/quarantine/release`, release)).status).toBe(400);
    const exception = { purl: [`pkg:npm/demo${bad}`], reason: 'we need it', by: 'ann', expires: '30d' };
    expect((await send('POST', `${API}/exceptions`, exception)).status).toBe(400);
  }
  expect((await send('DELETE', `${API}/exceptions/%00`)).status).toBe(400);
  expect((await send('PATCH', `${API}/exceptions/%00`, { active: false })).status).toBe(400);
});

it('cannot judge a part of a bill of materials whose name nothing can have', async () => {
  const { send } = await serve('');
  const components = [{ name: 'odd', purl: 'pkg:npm/demo@1.0.0%00' }];
  const { status, json } = await send('POST', `${API}/sbom`, { bomFormat: 'CycloneDX', components });
  expect([status, json.unjudged]).toEqual([200, ['odd']]);
});
