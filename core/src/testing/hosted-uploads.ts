import assert from 'node:assert/strict';
import { asRequest, printRequest } from './route-table.js';
import {
  openTestRepository,
  type TestReply,
  type TestRepository,
  type TestRepositoryOptions,
  type TestRequest,
} from './test-repository.js';

/** A publication of a client. */
export interface HostedUpload {
  /** Requests that must succeed before, such as the layers of an image. */
  readonly before?: readonly TestRequest[];
  /** The request that publishes it. */
  readonly put: TestRequest;
  /** The request that reads it back. */
  readonly get: TestRequest | string;
  /** The body that `get` returns. */
  readonly bytes: string | Uint8Array;
  /** For `conflicts`: a request that publishes other bytes under the same name. */
  readonly again?: TestRequest;
  /** For `conflicts`: those bytes. */
  readonly againBytes?: string | Uint8Array;
  /** For `deletes`: the request that removes it. */
  readonly remove?: TestRequest;
  /** For `lists`: a document, and a text that is in it only while this is there. */
  readonly listed?: {
    readonly in: TestRequest | string;
    readonly as: string;
    /** Reads the text that is looked in where `in` only leads to it, from the body of that. Absent: the body itself. */
    readonly text?: (body: Buffer, ask: TestRepository['ask']) => Promise<string>;
  };
}

/** A protocol plugin with what the suite for hosted repositories needs. */
export interface HostedProtocolSubject extends Pick<TestRepositoryOptions, 'plugin' | 'options' | 'services'> {
  /** One of each thing that can be published, with names that differ. Those that a capability needs come first. */
  readonly uploads: readonly HostedUpload[];
}

/** A plugin in repositories for one check. */
export interface HostedFixture {
  readonly subject: HostedProtocolSubject;
  /** The uploads that have all of `fields`; at least one. */
  having(...fields: (keyof HostedUpload)[]): readonly Required<HostedUpload>[];
  open(options?: Partial<TestRepositoryOptions>): Promise<TestRepository>;
  close(): Promise<void>;
}

/** Sends what must be there before. */
export async function prepare(repository: TestRepository, { before = [] }: HostedUpload): Promise<void> {
  for (const request of before) {
    const reply = await repository.ask(request);
    assert.ok(isSuccess(reply), `${printRequest(request)}: expected 2xx, found ${describeReply(reply)}`);
  }
}

/** Publishes, and requires that it is taken. */
export async function publish(repository: TestRepository, upload: HostedUpload): Promise<void> {
  await prepare(repository, upload);
  const reply = await repository.ask(upload.put);
  assert.ok(isSuccess(reply), `${printRequest(upload.put)}: expected 2xx, found ${describeReply(reply)}`);
}

/** Requires that it is given back as it was published. */
export async function assertThere(repository: TestRepository, { get, bytes }: HostedUpload): Promise<void> {
  const reply = await repository.ask(get);
  assert.equal(reply.status, 200, `${labelOf(get)}: ${describeReply(reply)}`);
  assert.equal(reply.error, undefined, `${labelOf(get)}: the body broke off`);
  assert.ok(reply.body.equals(Buffer.from(bytes)), `${labelOf(get)}: expected the bytes that were published`);
}

/** Requires that it is listed, or that it is not. */
export async function assertListed(
  repository: TestRepository,
  { listed }: Required<HostedUpload>,
  expected: boolean,
  when: string,
): Promise<void> {
  const reply = await repository.ask(listed.in);
  const label = `${labelOf(listed.in)} ${when}`;
  if (expected) assert.equal(reply.status, 200, `${label}: ${describeReply(reply)}`);
  else assert.ok([200, 404].includes(reply.status), `${label}: expected 200 or 404, found ${describeReply(reply)}`);
  const { as, text = async () => reply.body } = listed;
  const shown = reply.status === 200 && (await text(reply.body, repository.ask)).includes(as);
  assert.equal(shown, expected, `${label}: whether ${JSON.stringify(as)} is in it`);
}

/** Lists the keys of all entries, with their digests. */
export async function keysOf({ entries }: TestRepository): Promise<readonly string[]> {
  return (await entries.list('test', { prefix: '', limit: 100_000 })).map(({ key, digest }) => `${key} ${digest}`);
}

/** Whether a reply is a success. */
export function isSuccess(reply: TestReply | undefined): boolean {
  return reply !== undefined && reply.status >= 200 && reply.status < 300;
}

function describeReply({ status, body }: TestReply): string {
  return `${status} ${body.toString('utf8', 0, 200)}`;
}

/** Names a request in a message. */
export function labelOf(request: TestRequest | string): string {
  return printRequest(asRequest(request));
}

/** Opens repositories of a plugin for one check. */
export function openFixture(subject: HostedProtocolSubject): HostedFixture {
  const opened: TestRepository[] = [];
  const { plugin, options, services } = subject;
  return {
    subject,
    having(...fields) {
      const found = subject.uploads.filter((upload) => fields.every((field) => upload[field] !== undefined));
      assert.ok(found.length > 0, `uploads: expected one with ${fields.join(' and ')}, found none`);
      return found as readonly Required<HostedUpload>[];
    },
    async open({ definition, ...more } = {}) {
      const repository = await openTestRepository({
        plugin,
        options,
        ...(services !== undefined && { services }),
        ...more,
        definition: { kind: 'hosted', ...definition },
      });
      opened.push(repository);
      return repository;
    },
    async close() {
      for (const repository of opened) await repository.close();
    },
  };
}
