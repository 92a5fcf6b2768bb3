// Releases: `node scripts/node.mjs scripts/release.mjs <command>`.
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { rehearse } from './release/rehearse.mjs';
import { prepareRelease, releaseKey } from './release/prepare.mjs';
import { publishRelease } from './release/publish.mjs';
import { run } from './release/run.mjs';
import { Steps } from './release/steps.mjs';
import { verifyRelease } from './release/sums.mjs';
import { setUp } from './setup.mjs';

const USAGE = `node scripts/node.mjs scripts/release.mjs <command>

  prepare [FOLDER]             makes a release of what the changesets say, in a clean clone: versions and changelogs, the
                               packages, the bill of materials, the chart and the image, their SHA-256 sums, signed with
                               the key of RELEASE_KEY (PEM, or a file with it), a commit and its tags
  verify FOLDER --key FILE     holds a release against its sums, and those against the public key
  publish FOLDER --key FILE    verifies, and publishes the packages to the registry that npm is set up with
  --dry-run                    all of that on a copy of the repository, with a registry on loopback; then installs what was
                               published there as strangers do, and uses it. CI runs this.

  FOLDER is "release" if it is not given.
`;

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { key: { type: 'string' }, 'dry-run': { type: 'boolean', default: false } },
});
const [command, folder = 'release'] = positionals;
const out = resolve(folder);
const steps = new Steps();

if (values['dry-run']) {
  setUp();
  await rehearse(ROOT, steps).then(
    () => steps.end(),
    (error) => steps.end(error),
  );
} else if (command === 'prepare') {
  await prepare();
} else if (command === 'verify' || command === 'publish') {
  const key = await readFile(values.key ?? join(out, 'entrepot-release.pem'), 'utf8');
  const files = await verifyRelease(out, key);
  process.stdout.write(`${files.length} files are those that were signed\n`);
  if (command === 'publish') await publishRelease(ROOT, out, key);
} else {
  process.stderr.write(USAGE);
  process.exitCode = 2;
}

async function prepare() {
  const privateKey = await releaseKey();
  if (existsSync(out)) throw new Error(`${out}: expected no such folder; remove it, or name another`);
  const { stdout: changed } = await run(ROOT, ['git', 'status', '--porcelain']);
  if (changed !== '') throw new Error(`expected a clean clone, found changes:\n${changed}`);
  const pending = (await readdir(join(ROOT, '.changeset'))).filter((name) => name.endsWith('.md'));
  if (pending.length === 0)
    throw new Error('.changeset: expected notes of what is new, found none; there is nothing to release');
  const { version } = await prepareRelease({
    root: ROOT,
    folder: out,
    privateKey,
    build: async () => {
      await run(ROOT, ['npm', 'ci', '--no-audit', '--no-fund']);
      await run(ROOT, ['npm', 'run', 'build']);
    },
    image: true,
    step: (name, work) => steps.step(name, work),
  });
  process.stdout.write(`release ${version} is in ${out}; next: git push --follow-tags, then the command publish\n`);
}
