import type { RequestHead, SharedRepository } from '@entrepot/core';
import { describe, expect, it } from 'vitest';
import plugin from '../src/index.js';
import { ociOptions } from '../src/options.js';

function repository(name: string, upstream: string, namespaces?: string[]): SharedRepository {
  const options = ociOptions.parse(namespaces === undefined ? {} : { namespaces });
  return { name, type: 'oci', kind: 'proxy', upstreams: [{ url: upstream }], options };
}

const REPOSITORIES: readonly SharedRepository[] = [
  { name: 'local', type: 'oci', kind: 'hosted', upstreams: [], options: ociOptions.parse({}) },
  { name: 'charts', type: 'helm', kind: 'proxy', upstreams: [{ url: 'https://ghcr.io' }], options: {} },
  repository('hub', 'https://registry-1.docker.io'),
  repository('hub-audited', 'https://registry-1.docker.io'),
  repository('lab', 'http://127.0.0.1:5000'),
  repository('mirror', 'https://mirror.example.com', ['quay.io', 'Registry.Example.com:8443']),
];

function select(path: string, named?: string) {
  const [pathname = '', query = ''] = path.split('?');
  const head = {
    method: 'GET',
    segments: pathname.split('/').filter((segment) => segment !== ''),
    query: new URLSearchParams(query),
    rawQuery: query,
  };
  const answer = plugin.http?.select?.(head as unknown as RequestHead, REPOSITORIES, named);
  if (answer === undefined) return undefined;
  if ('questions' in answer)
    return answer.questions.map(({ repository, query: of }) => `${repository}?${of}`).join(' ');
  return 'repository' in answer ? answer.repository : answer.reply.status;
}

describe('the repository that a request means', () => {
  it.each<[path: string, repository: string | number | undefined]>([
    ['/', 200],
    ['/?ns=docker.io', 200],
    ['/library/nginx/manifests/latest', undefined],
    ['/_catalog', 'hub?n=100 hub-audited?n=100 lab?n=100 local?n=100 mirror?n=100'],
    ['/_catalog?n=5000', 'hub?n=1000 hub-audited?n=1000 lab?n=1000 local?n=1000 mirror?n=1000'],
    ['/_catalog?n=2&last=lab/team/app', 'lab?n=2&last=team%2Fapp local?n=2 mirror?n=2'],
    ['/_catalog?n=2&last=later', 'local?n=2 mirror?n=2'],
    ['/_catalog?repository=local&next_page=a%2Fb&n=2', 'local?next_page=a%2Fb&n=2 mirror?n=2'],
    ['/_catalog?n=0', 200],
    ['/library/nginx/manifests/latest?ns=docker.io', 'hub'],
    ['/library/nginx/manifests/latest?ns=Docker.IO', 'hub'],
    ['/library/nginx/manifests/latest?ns=index.docker.io', 'hub'],
    ['/library/nginx/manifests/latest?ns=registry-1.docker.io:443', 'hub'],
    ['/a/manifests/1?ns=quay.io', 'mirror'],
    ['/a/manifests/1?ns=registry.example.com:8443', 'mirror'],
    ['/a/manifests/1?ns=registry.example.com', 404],
    ['/a/manifests/1?ns=mirror.example.com', 404],
    ['/a/manifests/1?ns=127.0.0.1:5000', 'lab'],
    ['/a/manifests/1?ns=127.0.0.1', 404],
    ['/a/manifests/1?ns=ghcr.io', 404],
    ['/a/manifests/1?ns=', 404],
    ['/a/manifests/1?ns=quay.io&ns=docker.io', 404],
    ['/a/manifests/1?ns=quay.io&ns=quay.io', 404],
    ['/a/manifests/1?ns=user:secret@quay.io', 404],
    ['/a/manifests/1?ns=https://quay.io', 404],
    ['/a/manifests/1?ns=quay.io/x', 404],
    ['/a/manifests/1?ns=[::1]:5000', 404],
    ['/a/manifests/1?ns=169.254.169.254', 404],
    ['/a/manifests/1?ns=%00', 404],
  ])('%s is for %s', (path, expected) => {
    expect(select(path)).toBe(expected);
  });

  it.each<[path: string, named: string, repository: string | undefined]>([
    ['/hub/library/nginx/manifests/1?ns=docker.io', 'hub', undefined],
    ['/hub-audited/library/nginx/manifests/1?ns=docker.io', 'hub-audited', undefined],
    ['/mirror/nginx/manifests/1?ns=docker.io', 'mirror', 'hub'],
    ['/local/nginx/manifests/1?ns=docker.io', 'local', 'hub'],
    ['/local/nginx/manifests/1?ns=unknown.example.com', 'local', undefined],
    ['/local/nginx/tags/list?n=5', 'local', undefined],
    ['/local/nginx/manifests/1?ns=quay.io&ns=docker.io', 'local', undefined],
  ])('%s, which begins with the name of %s, is for %s', (path, named, expected) => {
    expect(select(path, named)).toBe(expected);
  });
});
