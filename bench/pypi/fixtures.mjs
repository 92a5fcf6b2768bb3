import { createHash } from 'node:crypto';
import { makeZip } from '@entrepot/fixtures/go-database';
import { seededBytes, sha256 } from '../lib/fixtures.mjs';

/**
 * Synthetic projects of a Python package index; all follows from the name, as in `lib/fixtures.mjs`: `page-500` has 500
 * wheels of 100 KB, `page-500-b3` is another one of that shape, `wheel-50000` has one wheel of 50 MB.
 */
const NAME = /^(page|wheel)-(\d+)(?:-[a-z0-9]+)?$/;
const WHEEL_BYTES = 100_000;
const BASE_TIME = Date.UTC(2020, 0, 1);
const SETS = ['b', 'm', 'r', 'd'];

/** The number of projects that a client downloads in a run, and of runs for which there are others. */
const DOWNLOADED = 106;
export const DOWNLOAD_RUNS = 3;

/** The projects that a client downloads in one run. */
export function downloadedProjects(turn) {
  return Array.from({ length: DOWNLOADED }, (_, index) => `page-40-p${turn}x${index}`);
}

/** The number of runs for which there are names. */
export const MOST_RUNS = 20;

export const JSON_PAGE = 'application/vnd.pypi.simple.v1+json';

/** Every project that exists: peers ask for the list before they ask for a page. */
export function projectNames() {
  const names = ['page-40', 'page-500', 'page-3000', 'wheel-50000'];
  for (const set of SETS) {
    const base = { b: 'page-500', m: 'page-500', r: 'wheel-50000', d: 'page-40' }[set];
    for (let turn = 0; turn < MOST_RUNS; turn++) names.push(`${base}-${set}${turn}`);
  }
  for (let turn = 0; turn < DOWNLOAD_RUNS; turn++) names.push(...downloadedProjects(turn));
  return names;
}

/** The wheels of a project, or `undefined` when it is none of ours. */
export function wheelNames(project) {
  const match = NAME.exec(project);
  if (!match) return undefined;
  const count = match[1] === 'page' ? Number(match[2]) : 1;
  return Array.from({ length: count }, (_, index) => `${project.replaceAll('-', '_')}-1.${index}.0-py3-none-any.whl`);
}

/** An archive with the metadata (devpi takes it from there), behind bytes that a reader passes over. */
export function wheel(project, filename) {
  const [, kind, count] = NAME.exec(project);
  const [name, version] = filename.split('-');
  const folder = `${name}-${version}.dist-info`;
  const archive = makeZip([
    [`${folder}/METADATA`, metadata(project, filename)],
    [`${folder}/WHEEL`, Buffer.from('Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')],
  ]);
  const size = kind === 'page' ? WHEEL_BYTES : Number(count) * 1000;
  return Buffer.concat([seededBytes(filename, size - archive.length), archive]);
}

/** The metadata file of a wheel (PEP 658), about 3 KB. */
export function metadata(project, filename) {
  const version = filename.split('-')[1];
  const head = `Metadata-Version: 2.1\nName: ${project}\nVersion: ${version}\nRequires-Python: >=3.8\n`;
  const requirements = Array.from({ length: 30 }, (_, index) => `Requires-Dist: dependency-${index} (>=1.${index})\n`);
  const text = seededBytes(`description ${filename}`, 1100).toString('base64');
  return Buffer.from(`${head}${requirements.join('')}\n${text}\n`);
}

function files(project) {
  return wheelNames(project).map((filename, index) => {
    const bytes = wheel(project, filename);
    return {
      filename,
      sha256: sha256(bytes),
      size: bytes.length,
      metadata: sha256(metadata(project, filename)),
      uploaded: new Date(BASE_TIME + index * 3_600_000).toISOString().replace('.000Z', '.000000Z'),
    };
  });
}

/** The page of a project in both forms (PEP 503, 691, 700, 714); `base` is the URL of its files. */
export function pages(project, base) {
  const all = files(project);
  const json = {
    meta: { 'api-version': '1.1' },
    name: project,
    versions: all.map(({ filename }) => filename.split('-')[1]),
    files: all.map((file) => ({
      filename: file.filename,
      url: `${base}/${file.filename}`,
      hashes: { sha256: file.sha256 },
      'requires-python': '>=3.8',
      'core-metadata': { sha256: file.metadata },
      'dist-info-metadata': { sha256: file.metadata },
      size: file.size,
      'upload-time': file.uploaded,
      yanked: false,
    })),
  };
  const anchors = all.map(
    (file) =>
      `    <a href="${base}/${file.filename}#sha256=${file.sha256}" data-requires-python="&gt;=3.8"` +
      ` data-core-metadata="sha256=${file.metadata}" data-dist-info-metadata="sha256=${file.metadata}">${file.filename}</a><br />\n`,
  );
  const title = `Links for ${project}`;
  const html = `<!DOCTYPE html>\n<html>\n  <head>\n    <meta name="pypi:repository-version" content="1.1">\n    <title>${title}</title>\n  </head>\n  <body>\n    <h1>${title}</h1>\n${anchors.join('')}  </body>\n</html>\n`;
  return { json: Buffer.from(JSON.stringify(json)), html: Buffer.from(html) };
}

/** The list of all projects in both forms. */
export function projectLists() {
  const names = projectNames();
  const json = { meta: { 'api-version': '1.1' }, projects: names.map((name) => ({ name })) };
  const anchors = names.map((name) => `<a href="/simple/${name}/">${name}</a>\n`);
  return {
    json: Buffer.from(JSON.stringify(json)),
    html: Buffer.from(`<!DOCTYPE html>\n<html><body>\n${anchors.join('')}</body></html>\n`),
  };
}

/** The digest of what an installation depends on: names and hashes. Equal for both forms and for every proxy. */
export function pageDigest(body) {
  const text = body.toString();
  const found = [];
  if (text.startsWith('{')) {
    for (const { filename, hashes } of JSON.parse(text).files) found.push(`${filename} ${hashes.sha256}`);
  } else {
    for (const [, hash, filename] of text.matchAll(/<a\b[^>]*#sha256=([0-9a-f]{64})[^>]*>([^<]*)<\/a>/gs)) {
      found.push(`${filename.trim()} ${hash}`);
    }
  }
  return createHash('sha256').update(found.sort().join('\n')).digest('hex');
}
