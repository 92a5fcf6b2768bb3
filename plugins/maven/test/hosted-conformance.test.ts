import { hostedProtocolSuite, type HostedUpload } from '@entrepot/core/testing';
import { describe, it } from 'vitest';
import plugin from '../src/index.js';
import { jar, pom } from './fixtures.js';

const TOOL = '/org/example/tool';

function upload(path: string, bytes: string, againBytes: string, listed?: HostedUpload['listed']): HostedUpload {
  return {
    put: { method: 'PUT', path, body: bytes },
    get: path,
    bytes: Buffer.from(bytes),
    again: { method: 'PUT', path, body: againBytes },
    againBytes: Buffer.from(againBytes),
    remove: { method: 'DELETE', path },
    ...(listed && { listed }),
  };
}

function pomUpload(version: string): HostedUpload {
  const [one, other] = [pom(`org.example:tool:${version}`), pom(`org.example:tool:${version}`, '<name>other</name>')];
  const listed = { in: `${TOOL}/maven-metadata.xml`, as: `<version>${version}</version>` };
  return upload(`${TOOL}/${version}/tool-${version}.pom`, one, other, listed);
}

hostedProtocolSuite(
  { describe, it },
  {
    plugin,
    uploads: [
      pomUpload('1.0'),
      pomUpload('1.10-rc1'),
      upload('/org/example/other/1.0/other-1.0.jar', jar('other'), jar('another')),
      upload('/org/example/other/1.0/other-1.0.jar.asc', 'a signature', 'another'),
    ],
  },
);
