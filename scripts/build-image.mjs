// Builds the image of deploy/Dockerfile for a release, and writes it into a folder as an archive for `docker load`:
// node scripts/build-image.mjs FOLDER VERSION [-- arguments of `buildah build`]
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './release/run.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const [folder, version, separator, ...more] = process.argv.slice(2);
if (folder === undefined || version === undefined || (separator ?? '--') !== '--') {
  process.stderr.write('usage: node scripts/build-image.mjs FOLDER VERSION [-- arguments of buildah build]\n');
  process.exit(2);
}

const tag = `localhost/entrepot:${version}`;
const archive = join(resolve(folder), `entrepot-image-${version}.tar`);
const { stdout: revision } = await run(ROOT, ['git', 'rev-parse', 'HEAD']);
const facts = { VERSION: version, REVISION: revision.trim() };
// A layer in a cache would keep the labels of another version; as options they are put on afterwards.
const labels = Object.entries(facts).flatMap(([name, value]) => {
  const label = `org.opencontainers.image.${name.toLowerCase()}=${value}`;
  return ['--build-arg', `${name}=${value}`, '--label', label];
});
// One time for all files, so that the same sources make the same image. Only the format of docker keeps the check of health.
const format = ['--format', 'docker', '--timestamp', '0'];
await run(ROOT, ['buildah', 'bud', ...format, ...labels, ...more, '--file', 'deploy/Dockerfile', '--tag', tag, ROOT]);
await run(ROOT, ['buildah', 'push', tag, `docker-archive:${archive}:entrepot:${version}`]);
process.stdout.write(`${archive}\n`);
