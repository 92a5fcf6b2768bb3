/** The repository of the suite for Maven: 750 artifacts, each a POM and a jar, in a tree that one artifact needs whole. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { zip } from '@entrepot/fixtures/zip';

export const GROUP = 'com.example.bench';
export const VERSION = '1.0';
/** Dependencies of each artifact, until all are named. */
const NEEDS = 4;
/** Sizes of jars, as those of a web application are: a few large ones, and many small ones. */
const SIZES = [4_000, 9_000, 15_000, 25_000, 40_000, 65_000, 110_000, 190_000, 330_000, 700_000];
/** The rest of a POM: names, developers, plugins. */
const PROSE = 'Names, developers and plugins that the POM of a library has. '.repeat(50);

/** Name of the artifact that needs all others. */
export const ROOT = 'lib0';

/** Writes the repository, with a `.sha1` for each file. @returns the files below the folder, with their sums */
export async function writeRepository(folder, count) {
  const files = new Map();
  for (let at = 0; at < count; at += 1) {
    const needs = Array.from({ length: NEEDS }, (_, turn) => NEEDS * at + turn + 1).filter((other) => other < count);
    const size = SIZES[at % SIZES.length];
    files.set(`${pathOf(`lib${at}`)}.pom`, Buffer.from(pomOf(`lib${at}`, dependenciesOn(needs))));
    files.set(`${pathOf(`lib${at}`)}.jar`, zip([{ name: 'code.bin', content: randomBytes(size), stored: true }]));
  }
  const sums = new Map();
  for (const [path, bytes] of files) {
    const sum = createHash('sha1').update(bytes).digest('hex');
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
    await writeFile(join(folder, `${path}.sha1`), sum);
    sums.set(path, sum);
  }
  return sums;
}

/** A project that has Maven itself fetch the tree: an extension, and no plugin at all. */
export async function writeProject(folder) {
  await mkdir(folder, { recursive: true });
  const extension = `<extension><groupId>${GROUP}</groupId><artifactId>${ROOT}</artifactId><version>${VERSION}</version></extension>`;
  const more = `<packaging>pom</packaging><build><extensions>${extension}</extensions></build>`;
  await writeFile(join(folder, 'pom.xml'), pomOf('project', more));
}

function pathOf(artifact) {
  return `${GROUP.replaceAll('.', '/')}/${artifact}/${VERSION}/${artifact}-${VERSION}`;
}

function pomOf(artifact, more) {
  return `<?xml version="1.0" encoding="UTF-8"?>
<project><modelVersion>4.0.0</modelVersion><groupId>${GROUP}</groupId><artifactId>${artifact}</artifactId>
<version>${VERSION}</version><description>${PROSE}</description>${more}</project>
`;
}

function dependenciesOn(numbers) {
  const one = (number) =>
    `<dependency><groupId>${GROUP}</groupId><artifactId>lib${number}</artifactId><version>${VERSION}</version></dependency>`;
  return `<dependencies>${numbers.map(one).join('')}</dependencies>`;
}
