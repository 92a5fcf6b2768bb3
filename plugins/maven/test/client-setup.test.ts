import { setupText } from '@entrepot/core';
import { expect, it } from 'vitest';
import plugin from '../src/index.js';

const steps = (kind: 'proxy' | 'hosted', guarded: boolean): Record<string, string> =>
  Object.fromEntries(
    (
      plugin.clients?.setup?.({
        baseUrl: 'https://packages.example.com/maven',
        repository: { name: 'maven', kind, upstreams: [] },
        guarded,
      }) ?? []
    ).map((setup) => [setup.client, setupText(setup)]),
  );

it('points clients at a proxy as the mirror of everything', () => {
  const { Maven = '', Gradle = '' } = steps('proxy', true);
  expect(Maven).toContain('<mirrorOf>*</mirrorOf><url>https://packages.example.com/maven</url>');
  expect(Maven).toContain('<username>USER</username>');
  expect(Gradle).not.toContain('allowInsecureProtocol');
  expect(Object.keys(steps('proxy', false))).toEqual(['Maven', 'Gradle', 'sbt']);
});

it('adds a hosted repository to others, and deploys to it', () => {
  const { Maven = '', 'Maven (deploy)': deploy = '' } = steps('hosted', false);
  expect(Maven).not.toContain('mirrorOf');
  expect(Maven).toContain('<activeProfile>maven</activeProfile>');
  expect(deploy).toBe('mvn deploy -DaltDeploymentRepository=maven::default::https://packages.example.com/maven');
});
