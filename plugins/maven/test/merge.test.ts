import { pseudoRandom } from '@entrepot/core/testing';
import { describe, expect, it } from 'vitest';
import { jar, metadata } from './fixtures.js';
import { open, versionsIn, type Scene } from './scene.js';

const TOOL = '/org/example/tool';
const METADATA = `${TOOL}/maven-metadata.xml`;
const VERSIONS = ['0.9', '1.0', '1.0.1', '1.1-alpha-1', '1.1', '1.9', '1.10', '2.0-rc1', '2.0', '3'];
const ROUNDS = 40;
const PLACES = ['one', 'two'] as const;
type Place = (typeof PLACES)[number];

const jarPath = (version: string): string => `${TOOL}/${version}/tool-${version}.jar`;

/** Two upstreams with some of all versions each, and one of the two that goes down. */
function drawn(round: number) {
  const random = pseudoRandom(20_260_105 + round);
  const some = (): string[] => VERSIONS.filter(() => random() < 0.4);
  const versions = { one: some(), two: some() };
  const down: Place = random() < 0.5 ? 'one' : 'two';
  return { versions, down, up: down === 'one' ? ('two' as const) : ('one' as const), wasSeen: random() < 0.5 };
}

function bringUp({ serve }: Scene, place: Place, versions: readonly string[]): void {
  if (versions.length > 0) serve(place, METADATA, metadata('org.example:tool', versions));
  for (const version of versions) serve(place, jarPath(version), jar(`${place} ${version}`));
}

function takeDown({ fail }: Scene, place: Place): void {
  for (const path of [METADATA, ...VERSIONS.map(jarPath)])
    for (const end of ['', '.sha1']) fail(place, path + end, 503);
}

function takeAway({ fail }: Scene, place: Place): void {
  for (const path of [METADATA, ...VERSIONS.map(jarPath)])
    for (const end of ['', '.sha1']) fail(place, path + end, 404);
}

describe('merged metadata of any two upstreams', () => {
  it('lists all of their versions in order, each of which downloads', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const { versions } = drawn(round);
      const scene = await open(undefined, [...PLACES]);
      for (const place of PLACES) bringUp(scene, place, versions[place]);
      const all = VERSIONS.filter((version) => versions.one.includes(version) || versions.two.includes(version));
      const { status, body } = await scene.ask(METADATA);
      expect(status).toBe(all.length === 0 ? 404 : 200);
      expect(all.length === 0 ? [] : versionsIn(body.toString())).toEqual(all);
      for (const version of all) {
        const place = versions.one.includes(version) ? 'one' : 'two';
        expect((await scene.ask(jarPath(version))).body.toString()).toBe(jar(`${place} ${version}`));
      }
    }
  }, 60_000);

  it('lists nothing, with one of them down, that the other one alone has and that does not download', async () => {
    let downloaded = 0;
    let late = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const { versions, down, up, wasSeen } = drawn(round);
      const scene = await open(undefined, [...PLACES]);
      for (const place of PLACES) bringUp(scene, place, versions[place]);
      if (wasSeen) await scene.ask(METADATA);
      takeDown(scene, down);
      scene.clock.advance(600_001);
      const { status, body } = await scene.ask(METADATA);
      const listed = status === 200 ? versionsIn(body.toString()) : [];
      if (status !== 200)
        expect([wasSeen && versions.one.length + versions.two.length > 0, status]).toEqual([false, status]);
      // An outage is no absence.
      if (status !== 200 && !wasSeen) expect(status).toBeGreaterThanOrEqual(500);
      for (const version of listed) {
        const reply = await scene.ask(jarPath(version));
        const isOfDown = versions[down].includes(version);
        const isFirst = up === 'one' && versions.one.includes(version);
        if (isFirst || !isOfDown) {
          expect([round, version, reply.status]).toEqual([round, version, 200]);
          expect(reply.body.toString()).toBe(jar(`${up} ${version}`));
          downloaded += 1;
        } else {
          // The one that it is of is out of reach: it may have other bytes by this name than the next one.
          expect(reply.status).toBeGreaterThanOrEqual(500);
          late += 1;
        }
      }
      takeAway(scene, down);
      bringUp(scene, down, versions[down]);
      scene.clock.advance(600_001);
      for (const version of listed) expect((await scene.ask(jarPath(version))).status).toBe(200);
    }
    expect(downloaded).toBeGreaterThan(20);
    expect(late).toBeGreaterThan(20);
  }, 60_000);
});

describe('a version that one upstream alone lists', () => {
  it('is not asked of the others, while their lists are known', async () => {
    const scene = await open(undefined, [...PLACES]);
    bringUp(scene, 'one', ['1.0']);
    bringUp(scene, 'two', ['2.0']);
    await scene.ask(METADATA);
    expect((await scene.ask(jarPath('2.0'))).status).toBe(200);
    expect(scene.asked().filter((path) => path.startsWith(`/one${jarPath('2.0')}`))).toEqual([]);
  });

  it('is looked for in order again when the lists are old', async () => {
    const scene = await open(undefined, [...PLACES]);
    bringUp(scene, 'one', ['1.0']);
    bringUp(scene, 'two', ['2.0']);
    await scene.ask(METADATA);
    scene.clock.advance(600_001);
    bringUp(scene, 'one', ['1.0', '2.0']);
    expect((await scene.ask(jarPath('2.0'))).body.toString()).toBe(jar('one 2.0'));
  });
});

describe('metadata behind an upstream that is down and was never seen', () => {
  it('is not listed, since its files could not be had', async () => {
    const scene = await open(undefined, [...PLACES]);
    takeDown(scene, 'one');
    bringUp(scene, 'two', ['2.0']);
    expect((await scene.ask(METADATA)).status).toBeGreaterThanOrEqual(500);
  });

  it('is listed where an outage leads on to the next upstream', async () => {
    const scene = await open(undefined, [...PLACES], {}, 'any-error');
    takeDown(scene, 'one');
    bringUp(scene, 'two', ['2.0']);
    expect(versionsIn(await scene.text(METADATA))).toEqual(['2.0']);
    expect((await scene.ask(jarPath('2.0'))).status).toBe(200);
  });
});
