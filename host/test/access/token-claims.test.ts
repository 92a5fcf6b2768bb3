import type { AccessNeed } from '@entrepot/core';
import { describe, expect, it } from 'vitest';
import { rightsOfClaims } from '../../src/access/token-claims.js';

const RULES = {
  repository: 'hub',
  plainNames: false,
  namesPackages: false,
  types: ['artifact-repository'],
  claim: 'groups',
  read: ['developers'],
  write: ['ci'],
};

const docker = (name: string, ...actions: string[]) => ({ access: [{ type: 'repository', name, actions }] });
const chart = (name: string, ...actions: string[]) => ({ access: [{ type: 'artifact-repository', name, actions }] });

describe('rightsOfClaims', () => {
  it.each<[what: string, claims: Record<string, unknown>, need: AccessNeed, expected: boolean]>([
    ['a pull of an image', docker('hub/nginx', 'pull'), { right: 'read', name: 'nginx' }, true],
    ['a push with the right to pull', docker('hub/nginx', 'pull'), { right: 'write', name: 'nginx' }, false],
    ['a pull with the right to push', docker('hub/nginx', 'push'), { right: 'read', name: 'nginx' }, false],
    ['a push with the right to delete', docker('hub/nginx', 'delete'), { right: 'write', name: 'nginx' }, false],
    ['anything with *', docker('hub/nginx', '*'), { right: 'write', name: 'nginx' }, true],
    ['another image', docker('hub/nginx', 'pull'), { right: 'read', name: 'nginx1' }, false],
    ['an image below', docker('hub/nginx', 'pull'), { right: 'read', name: 'nginx/x' }, false],
    ['the same image of another repository', docker('own/nginx', 'pull'), { right: 'read', name: 'nginx' }, false],
    ['a name without its repository', docker('nginx', 'pull'), { right: 'read', name: 'nginx' }, false],
    ['the whole by the right to one', docker('hub/nginx', 'pull'), { right: 'read' }, false],
    ['one by the right to the whole', docker('hub', 'pull'), { right: 'read', name: 'nginx' }, false],
    ['the whole', docker('hub', 'pull'), { right: 'read' }, true],
    ['a tenant of charts', chart('org/repo', 'push'), { right: 'write', name: 'org/repo' }, true],
    ['a tenant whose name goes on', chart('org', 'push'), { right: 'write', name: 'org1' }, false],
    ['a tenant below', chart('org', 'push'), { right: 'write', name: 'org/repo' }, false],
    ['a tenant above', chart('org/repo', 'push'), { right: 'write', name: 'org' }, false],
    ['the only tenant', chart('repo', 'pull'), { right: 'read' }, true],
    ['another than the only tenant', chart('other', 'pull'), { right: 'read' }, false],
    ['an unknown type', { access: [{ type: 'registry', name: 'hub', actions: ['*'] }] }, { right: 'read' }, false],
    ['a word in a text', { groups: 'x developers' }, { right: 'read', name: 'nginx' }, true],
    ['a word in a list', { groups: ['developers'] }, { right: 'read' }, true],
    ['a word for reading', { groups: ['developers'] }, { right: 'write' }, false],
    ['a word for writing', { groups: ['ci'] }, { right: 'write' }, true],
    ['a word for writing, to read', { groups: ['ci'] }, { right: 'read' }, true],
    ['a part of a word', { groups: 'developersx' }, { right: 'read' }, false],
    ['a word in another claim', { scope: 'ci' }, { right: 'write' }, false],
    ['nothing', {}, { right: 'read' }, false],
    ['entries that are none', { access: [null, 'x', { type: 'repository' }, []] }, { right: 'read' }, false],
    ['a claim that is none', { access: 'hub', groups: { ci: true } }, { right: 'read' }, false],
    [
      'actions that are a text',
      { access: [{ type: 'repository', name: 'hub', actions: 'pull' }] },
      { right: 'read' },
      false,
    ],
  ])('%s', (_what, claims, need, expected) => {
    expect(rightsOfClaims(claims, RULES)(need)).toBe(expected);
  });

  it('takes names as they are where the repository has its mount to itself', () => {
    const rights = rightsOfClaims(docker('nginx', 'pull'), { ...RULES, plainNames: true });

    expect(rights({ right: 'read', name: 'nginx' })).toBe(true);
    expect(rights({ right: 'read' })).toBe(false);
  });

  it('lets whoever has the whole of a repository of packages have each of them, and what belongs to none', () => {
    const rules = { ...RULES, namesPackages: true };
    const whole = rightsOfClaims(docker('hub', 'pull'), rules);
    expect([whole({ right: 'read', name: 'nginx' }), whole({ right: 'write', name: 'nginx' })]).toEqual([true, false]);
    const one = rightsOfClaims(docker('hub/nginx', 'pull'), rules);
    expect([one({ right: 'read', name: 'other' }), one({ right: 'read' })]).toEqual([false, false]);
    expect([one({ right: 'read', anyName: true }), one({ right: 'write', anyName: true })]).toEqual([true, false]);
  });

  it('takes no entries of a type that the format does not have', () => {
    const rights = rightsOfClaims(chart('repo', 'pull', 'push'), { ...RULES, types: [] });
    expect([rights({ right: 'read' }), rights({ right: 'write', name: 'repo' })]).toEqual([false, false]);
  });
});
