import { onTestFinished } from 'vitest';
import { DebArchive, sha256 } from '@entrepot/fixtures/deb-archive';
import { openTestRepository, type TestRepository, type TestRepositoryOptions } from '@entrepot/core/testing';
import plugin from '../src/deb/index.js';

export const START = Date.UTC(2026, 0, 1);
export const FOLDER = 'dists/stable/main/binary-amd64';
export const MINUTE = 60_000;
/** The path of the mirror's URL. */
export const UPSTREAM_PATH = '/upstream/base';

export interface Scene extends TestRepository {
  readonly archive: DebArchive;
  /** Has the mirror what the archive has now. @param late how much later than the start it is published, in milliseconds */
  publish(late?: number): Promise<void>;
  /** The text at a path. */
  text(path: string): Promise<string>;
  /** Paths that the mirror was asked for since the last time. */
  asked(): string[];
}

/** A repository whose mirror has `hello` 1.0. */
export async function openScene(
  options: object = {},
  change: (archive: DebArchive) => void = () => {},
  scope?: string,
  more: Partial<TestRepositoryOptions> = {},
): Promise<Scene> {
  const archive = await DebArchive.create();
  const repository = await openTestRepository({ plugin, options, scope, ...more });
  onTestFinished(() => repository.close());
  let known: string[] = [];
  const scene: Scene = {
    ...repository,
    archive,
    async publish(late = 0) {
      archive.age = START + late - Date.now();
      await archive.publish();
      for (const path of known) repository.upstream.remove(path);
      known = [...archive.files.keys()].map((path) => `${UPSTREAM_PATH}/${path}`);
      for (const [path, body] of archive.files)
        repository.upstream.serve(`${UPSTREAM_PATH}/${path}`, { body, etag: `"${sha256(body)}"` });
    },
    async text(path) {
      const { status, body } = await repository.ask(path);

      return status === 200 ? body.toString('latin1') : String(status);
    },
    asked: () => repository.upstream.requests.splice(0).map(({ path }) => path.slice(UPSTREAM_PATH.length + 1)),
  };
  change(archive);
  archive.add('hello', '1.0');
  await scene.publish();
  return scene;
}

/** The path of a package. */
export const debOf = ({ archive }: Scene, name: string): string => {
  const { path } = archive.packages.find((one) => one.name === name)!;
  return path;
};
