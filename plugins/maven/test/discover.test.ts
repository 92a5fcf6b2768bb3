import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { discoverUpstreams, mirrorsCentral } from '../src/discover.js';

async function machine(files: Readonly<Record<string, string>>) {
  const home = await mkdtemp(join(tmpdir(), 'maven-home-'));
  onTestFinished(() => rm(home, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(home, name)), { recursive: true });
    await writeFile(join(home, name), text);
  }
  return (context = {}, env: Record<string, string> = {}) =>
    discoverUpstreams({ useClientCredentials: false, ...context }, { env, home, global: join(home, 'global.xml') });
}

const mirror = (url: string, of = '*', more = ''): string =>
  `<settings><mirrors><mirror><id>m</id><url>${url}</url><mirrorOf>${of}</mirrorOf>${more}</mirror></mirrors>
  <servers><server><id>m</id><username>u</username><password>p</password></server></servers></settings>`;

it('finds the mirror of the user before that of the machine', async () => {
  const find = await machine({
    '.m2/settings.xml': mirror('https://mirror.example.com/maven/'),
    'global.xml': mirror('https://global.example.com'),
  });
  expect(await find()).toMatchObject([{ url: 'https://mirror.example.com/maven' }]);
  expect((await find())[0]).not.toHaveProperty('authorization');
  const isOwn = (url: string): boolean => url.startsWith('https://mirror');
  expect(await find({ isOwn })).toMatchObject([{ url: 'https://global.example.com' }]);
});

it('takes credentials over where it is asked for them', async () => {
  const find = await machine({ '.m2/settings.xml': mirror('https://mirror.example.com') });
  const authorization = `Basic ${Buffer.from('u:p').toString('base64')}`;
  expect(await find({ useClientCredentials: true })).toMatchObject([{ authorization }]);
});

it('reads the settings that arguments name, with their variables', async () => {
  const find = await machine({});
  const file = await mkdtemp(join(tmpdir(), 'maven-args-'));
  onTestFinished(() => rm(file, { recursive: true }));
  await writeFile(join(file, 's.xml'), mirror('https://${env.PLACE}/maven'));
  const env = { MAVEN_ARGS: `-B -s ${join(file, 's.xml')}`, PLACE: 'place.example.com' };
  expect(await find({}, env)).toMatchObject([{ url: 'https://place.example.com/maven' }]);
});

it('finds nothing where nothing is set up, and refuses settings that are broken', async () => {
  expect(await (await machine({}))()).toEqual([]);
  expect(
    await (
      await machine({ '.m2/settings.xml': mirror('https://m.example.com', '*', '<blocked>true</blocked>') })
    )(),
  ).toEqual([]);
  await expect((await machine({ '.m2/settings.xml': '<settings>' }))()).rejects.toThrow("Maven's settings");
});

it('finds what an active profile says', async () => {
  const settings = `<settings><profiles><profile><id>x</id><repositories>
    <repository><id>central</id><url>https://profile.example.com/maven</url></repository>
  </repositories></profile></profiles><activeProfiles><activeProfile>x</activeProfile></activeProfiles></settings>`;
  expect(await (await machine({ '.m2/settings.xml': settings }))()).toMatchObject([
    { url: 'https://profile.example.com/maven' },
  ]);
});

it.each([
  ['*', true],
  ['central', true],
  ['external:*', true],
  ['external:http:*', false],
  ['*,!central', false],
  ['internal', false],
])('knows what %s stands for', (of, expected) => {
  expect(mirrorsCentral(of)).toBe(expected);
});
