import { expect, it, onTestFinished } from 'vitest';
import { openTestRepository } from '@entrepot/core/testing';
import { RPM, sum, type Files } from './archives.js';

const UPSTREAM_PATH = '/upstream/base';
const ROOT = '9/os';
/** The repository, as its client reaches it. */
const URL = 'https://packages.example.com/mount';

async function open(options: object = {}) {
  const repository = await openTestRepository({ plugin: RPM.plugin, options });
  onTestFinished(() => repository.close());
  return {
    ...repository,
    publish(files: Files) {
      for (const [path, body] of Object.entries(files)) repository.upstream.serve(`${UPSTREAM_PATH}/${path}`, { body });
    },
    /** The text and the media type at a path, as one client gets them. */
    async text(path: string) {
      const { status, body, headers } = await repository.ask(`/${path}`);
      expect(status).toBe(200);
      return { text: body.toString(), mediaType: headers['content-type'] };
    },
  };
}

const shaOf = (files: Files): string => sum('sha256', files[RPM.pointer] as Buffer);
const urlsIn = (text: string): string[] => [...text.matchAll(/<url [^>]*>([^<]*)</g)].map(([, url = '']) => url);
const sumsIn = (text: string): string[] =>
  [...text.matchAll(/type="sha256">([0-9a-f]{64})</g)].map(([, hex = '']) => hex);

it('gives a metalink that names this server alone, with the sum of the index that is served', async () => {
  const scene = await open();
  const [first, second] = [RPM.files('1.0'), RPM.files('2.0')];
  scene.publish(first);
  const { text, mediaType } = await scene.text(`${ROOT}/metalink?repo=os&countme=1`);
  expect([mediaType, urlsIn(text), sumsIn(text)]).toEqual([
    'application/metalink+xml',
    [`${URL}/${RPM.pointer}`],
    [shaOf(first)],
  ]);
  expect(text).toContain(`<size>${first[RPM.pointer]?.length}</size>`);
  scene.publish(second);
  scene.clock.advance(600_000);
  expect(sumsIn((await scene.text(`${ROOT}/metalink`)).text)).toEqual([shaOf(second), shaOf(first)]);
});

it('gives who has a metalink the index that it is of, whatever is published meanwhile', async () => {
  const scene = await open();
  const [first, second] = [RPM.files('1.0'), RPM.files('2.0')];
  scene.publish(first);
  scene.clock.advance(119_000);
  await scene.text(`${ROOT}/metalink`);
  scene.publish(second);
  scene.clock.advance(2000);
  await scene.engine.roots?.refresh(ROOT);
  expect((await scene.text(RPM.pointer)).text).toBe(first[RPM.pointer]?.toString());
  scene.clock.advance(600_000);
  expect((await scene.text(RPM.pointer)).text).toBe(second[RPM.pointer]?.toString());
});

it('gives lists of mirrors of states of the past, with paths as URLs have them', async () => {
  const scene = await open({ keepGenerations: 10 });
  const files = RPM.files('1.0');
  const place = 'a b&c';
  scene.publish(
    Object.fromEntries(Object.entries(files).map(([path, body]) => [`${encodeURIComponent(place)}/${path}`, body])),
  );
  const folder = `${encodeURIComponent(place)}/${ROOT}`;
  const { text, mediaType } = await scene.text(`${folder}/mirrorlist?arch=x86_64`);
  expect([mediaType, text]).toEqual(['text/plain; charset=utf-8', `${URL}/${folder}/\n`]);
  const time = new Date(scene.clock.now() + 1000).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const past = await scene.text(`snapshots/${time}/${folder}/metalink`);
  expect([urlsIn(past.text), sumsIn(past.text)]).toEqual([
    [`${URL}/snapshots/${time}/${folder}/repodata/repomd.xml`],
    [shaOf(files)],
  ]);
});

it('has no list of mirrors where there is no repository, or where it may not be', async () => {
  const scene = await open({ roots: { allow: ['9/**'] } });
  scene.publish(RPM.files('1.0'));
  expect((await scene.ask('/9/other/metalink')).status).toBe(404);
  expect((await scene.ask('/8/os/mirrorlist')).status).toBe(403);
});
