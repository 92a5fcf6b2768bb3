import assert from 'node:assert/strict';
import { printRequest } from './route-table.js';
import type { TestReply, TestRepository, TestRequest } from './test-repository.js';

/** Checks that HEAD and a matching If-None-Match are answered without a body. @returns the reply to a GET */
export async function assertBodiless({ ask }: TestRepository, request: TestRequest): Promise<TestReply> {
  const label = printRequest(request);
  const get = await ask(request);
  const head = await ask({ ...request, method: 'HEAD' });
  assert.deepEqual([head.status, head.body.length], [200, 0], `HEAD of ${label}`);
  for (const name of ['content-length', 'content-type', 'etag'])
    assert.equal(head.headers[name], get.headers[name], `${name} of HEAD ${label}`);
  const etag = get.headers['etag'];
  assert.ok(etag !== undefined, `${label}: expected an ETag, found none`);
  const unchanged = await ask(withHeaders(request, { 'if-none-match': etag }));
  assert.deepEqual([unchanged.status, unchanged.body.length], [304, 0], `If-None-Match on ${label}`);
  return get;
}

/** `request` with further headers. */
export function withHeaders(request: TestRequest, headers: Readonly<Record<string, string>>): TestRequest {
  return { ...request, headers: { ...request.headers, ...headers } };
}
