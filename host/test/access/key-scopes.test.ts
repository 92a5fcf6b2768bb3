import { describe, expect, it } from 'vitest';
import { administers, isWithin, patternProblem, rightsAt } from '../../src/access/key-scopes.js';
import type { KeyScope } from '../../src/drivers/sql/key-store.js';

function scope(text: string): KeyScope {
  const [may, repositories = '', names] = text.split(':');
  return {
    may: may as KeyScope['may'],
    repositories: repositories.split(','),
    ...(names !== undefined && { names: names.split(',') }),
  };
}

const lowerCase = (pattern: string) => (name: string) => name === pattern.toLowerCase() || pattern === '*';
const REPOSITORIES = [
  { name: 'npm', pattern: 'paths' as const },
  { name: 'crates', pattern: lowerCase },
];

describe('scopes of keys', () => {
  it.each([
    ['read:npm', 'read', 'npm', 'left-pad', true],
    ['read:npm', 'read', 'npm', undefined, true],
    ['read:npm', 'write', 'npm', 'left-pad', false],
    ['read:npm', 'read', 'npm2', 'left-pad', false],
    ['write:npm', 'read', 'npm', 'left-pad', true],
    ['admin:npm', 'write', 'npm', 'left-pad', true],
    ['read:*', 'read', 'npm', 'left-pad', true],
    ['read:n*', 'read', 'npm', 'left-pad', true],
    ['read:n*', 'read', 'crates', 'left-pad', false],
    ['read:npm:@acme/*', 'read', 'npm', '@acme/tool', true],
    ['read:npm:@acme/*', 'read', 'npm', 'left-pad', false],
    ['read:npm:@acme/*', 'read', 'npm', undefined, false],
    ['read:npm:**', 'read', 'npm', undefined, true],
    ['read:crates:Serde', 'read', 'crates', 'serde', true],
  ] as const)('%s lets %s from %s %s: %s', (text, right, repository, name, expected) => {
    const pattern = repository === 'crates' ? lowerCase : undefined;
    expect(rightsAt([scope(text)], { name: repository, pattern })({ right, name })).toBe(expected);
  });

  it.each([
    ['admin:*', undefined, true],
    ['admin:**', undefined, true],
    ['admin:npm', undefined, false],
    ['admin:npm', 'npm', true],
    ['admin:npm', 'crates', false],
    ['admin:*:@acme/*', undefined, false],
    ['admin:npm:@acme/*', 'npm', false],
    ['write:*', undefined, false],
  ])('%s administers %s: %s', (text, repository, expected) => {
    expect(administers(scope(text), repository)).toBe(expected);
  });

  it.each([
    ['read:npm', 'admin:*', true],
    ['admin:npm', 'admin:*', true],
    ['admin:*', 'admin:*', true],
    ['read:*', 'admin:npm', false],
    ['read:npm,crates', 'admin:npm', false],
    ['read:n*', 'admin:n*', true],
    ['read:np*', 'admin:n*', false],
    ['admin:npm', 'write:npm', false],
    ['read:npm', 'admin:npm:@acme/*', false],
    ['read:npm:@acme/*', 'admin:npm:@acme/*', true],
    ['read:npm:@acme/tool', 'admin:npm:@acme/*', true],
    ['read:npm:@other/tool', 'admin:npm:@acme/*', false],
    ['read:npm:**', 'admin:npm:@acme/*', false],
    ['read:npm:*', 'admin:npm:@acme/*', false],
    ['read:npm:{@acme/a,b}', 'admin:npm:@acme/*', false],
    ['read:npm:team/a/**', 'admin:npm:team/**', true],
    ['read:npm:team2/**', 'admin:npm:team/**', false],
    ['read:npm:team/[ab]/*', 'admin:npm:team/**', true],
    ['read:npm:{team/a,b}/**', 'admin:npm:team/**', false],
    ['read:crates:serde', 'admin:crates:Serde', true],
    // A pattern of another language is not judged as a glob.
    ['read:crates:team/a/**', 'admin:crates:team/**', false],
    ['read:npm:@acme/*', 'admin:npm:@acme/*,@other/*', true],
  ])('%s is within %s: %s', (wanted, own, expected) => {
    expect(isWithin([scope(wanted)], [scope(own)], REPOSITORIES)).toBe(expected);
  });

  it('are within several only one by one', () => {
    const own = [scope('admin:npm'), scope('admin:crates:serde')];
    expect(isWithin([scope('write:npm'), scope('read:crates:serde')], own, REPOSITORIES)).toBe(true);
    expect(isWithin([scope('write:npm,crates:serde')], own, REPOSITORIES)).toBe(false);
  });

  it('say which pattern is none', () => {
    expect(patternProblem(scope('read:npm:!x'), REPOSITORIES)).toMatch(/^!x: /);
    expect(patternProblem(scope('read:crates:!x'), REPOSITORIES)).toBeUndefined();
  });
});
