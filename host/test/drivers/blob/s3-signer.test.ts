import { describe, expect, it } from 'vitest';
import { S3Signer } from '../../../src/drivers/blob/s3/signer.js';

// The examples of "Authenticating Requests: Using the Authorization Header" and "… Using Query Parameters" in the API reference of
// Amazon S3, with the keys that are printed there.
const CREDENTIALS = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const ADDRESS = { protocol: 'https:', hostname: 'examplebucket.s3.amazonaws.com', port: 443, path: '/' } as const;

function load(credentials: { readonly sessionToken?: string } = {}): Promise<S3Signer> {
  return S3Signer.load(ADDRESS, {
    region: 'us-east-1',
    credentials: async () => ({ ...CREDENTIALS, ...credentials }),
    now: () => new Date('2013-05-24T00:00:00Z'),
  });
}

describe('S3Signer', () => {
  it('signs a GET as the example of AWS', async () => {
    const signer = await load();
    expect(await signer.sign('test.txt', { range: 'bytes=0-9' })).toEqual({
      host: 'examplebucket.s3.amazonaws.com',
      range: 'bytes=0-9',
      'x-amz-content-sha256': 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      'x-amz-date': '20130524T000000Z',
      authorization:
        'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, ' +
        'SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, ' +
        'Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    });
  });

  it('signs a URL as the example of AWS', async () => {
    const url = await (await load()).presign('test.txt', 86_400);
    expect(url.origin + url.pathname).toBe('https://examplebucket.s3.amazonaws.com/test.txt');
    expect(Object.fromEntries(url.searchParams)).toEqual({
      'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
      'X-Amz-Credential': 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request',
      'X-Amz-Date': '20130524T000000Z',
      'X-Amz-Expires': '86400',
      'X-Amz-SignedHeaders': 'host',
      'X-Amz-Signature': 'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    });
  });

  it('signs the token of temporary credentials along', async () => {
    const signer = await load({ sessionToken: 'a token' });
    const headers = await signer.sign('test.txt');
    expect(headers['x-amz-security-token']).toBe('a token');
    expect(headers['authorization']).toContain('x-amz-security-token');
    expect((await signer.presign('test.txt', 60)).searchParams.get('X-Amz-Security-Token')).toBe('a token');
  });
});
