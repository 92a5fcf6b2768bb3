import { strict as assert } from 'node:assert';
import { Container } from '../../servers/container.mjs';
import { note } from '../../tally.mjs';

/** @import { ImageSetting } from '../image.mjs' */

const MOST_UNPACKED = 230_000_000;
const MOST_PACKED = 90_000_000;

/** Packages that are loaded where a configuration asks for them. */
const DRIVERS = [
  '@aws-sdk/client-s3',
  '@smithy/node-http-handler',
  '@keyv/redis',
  'pg',
  '@entrepot/storage-azure',
  '@entrepot/storage-gcs',
];

/**
 * Looks at what is in the image, and what is not.
 * @param {ImageSetting} setting
 */
export async function contents({ tally, store, folder, image }) {
  await tally.check('image: it is as small as it should be', async () => {
    const [unpacked, packed] = [await store.unpackedBytes(image), await store.packedBytes(image)];
    note(`image: ${megabytes(unpacked)} unpacked, ${megabytes(packed)} packed`);
    assert.ok(unpacked <= MOST_UNPACKED, `at most ${megabytes(MOST_UNPACKED)} were expected unpacked`);
    assert.ok(packed <= MOST_PACKED, `at most ${megabytes(MOST_PACKED)} were expected packed`);
  });
  await tally.check('image: it says what it is and how it runs, and nothing of where it was built', async () => {
    const { config } = await store.inspect(image);
    assert.equal(config.User, '10001:10001');
    assert.deepEqual(config.Entrypoint, ['node', '/app/entrepot.js']);
    assert.deepEqual(config.Cmd, ['serve']);
    assert.deepEqual(config.Healthcheck.Test, ['CMD', 'node', '/app/entrepot.js', 'health']);
    assert.equal(config.Labels['org.opencontainers.image.title'], 'Entrepot');
    assert.equal(config.Labels['org.opencontainers.image.licenses'], 'Apache-2.0');
    assert.deepEqual(config.Env.filter((/** @type {string} */ entry) => !entry.startsWith('PATH=')).toSorted(), [
      'ENTREPOT_DATA=/data',
      'ENTREPOT_DEFAULT_LISTEN=0.0.0.0:8080',
      'HOME=/tmp',
      'NODE_ENV=production',
    ]);
  });
  await tally.check('image: the script of a release writes it with its version', async () => {
    const archive = await store.release(folder, '9.8.7');
    const said = JSON.parse(await store.skopeo(['inspect', '--config', '--raw', `docker-archive:${archive}`]));
    assert.equal(said.config.Labels['org.opencontainers.image.version'], '9.8.7');
    assert.match(said.config.Labels['org.opencontainers.image.revision'], /^[0-9a-f]{40}$/);
    assert.deepEqual(said.config.Healthcheck.Test, ['CMD', 'node', '/app/entrepot.js', 'health']);
  });
  await tally.check('image: nothing is in it that does not run', async () => {
    const names = [
      '.npmrc',
      '*.ts',
      '*.map',
      'package-lock.json',
      '.package-lock.json',
      '.git',
      '/typescript',
      '/vitest',
    ];
    const tests = names.flatMap((name, index) => [...(index === 0 ? [] : ['-o']), '-path', `*/app/*${name}`]);
    const found = await store.find(image, ['(', ...tests, ')']);
    assert.deepEqual(found.slice(0, 10), []);
    // Programs and libraries of a system are for one platform.
    const binaries = await store.find(image, ['-path', '*/app/*', '(', '-name', '*.node', '-o', '-perm', '/6000', ')']);
    assert.deepEqual(binaries, []);
    const musl = await store.find(image, ['-path', '*musl*']);
    assert.deepEqual(musl, []);
  });
  await tally.check('image: its user can write to none of its files', async () => {
    const found = await store.find(image, [
      '-path',
      '*/app*',
      '!',
      '-type',
      'l',
      '(',
      '-perm',
      '/022',
      '-o',
      '!',
      '-uid',
      '0',
      ')',
    ]);
    assert.deepEqual(found.slice(0, 10), []);
  });
  await tally.check('image: every driver is in it and can be loaded', async () => {
    // From where the server looks for them.
    const script = `
      import { createRequire } from 'node:module';
      const { resolve } = createRequire('/app/deploy/npm/package.json');
      for (const name of ${JSON.stringify(DRIVERS)}) await import(resolve(name));`;
    const words = ['--input-type=module', '--eval', script];
    const result = await inside(store, image, words);
    assert.equal(result.code, 0, result.stderr);
  });
  await tally.check('image: the list of its parts names what is in it, and no tools', async () => {
    const script = `
      const { bomFormat, components } = JSON.parse(require('fs').readFileSync('/app/sbom.cdx.json', 'utf8'));
      console.log(JSON.stringify([bomFormat, ...components.map(({ purl }) => purl.replace(/@[^@]*$/, ''))]));`;
    const { stdout } = await inside(store, image, ['--eval', script]);
    const [form, ...listed] = JSON.parse(stdout);
    assert.equal(form, 'CycloneDX');
    const names = new Set(listed);
    const installed = await store.find(image, ['-path', '*/app/node_modules/*', '-name', 'package.json']);
    const packages = installed.flatMap(
      (path) => /^\/app\/node_modules\/((?:@[^/]+\/)?[^/]+)\/package\.json$/.exec(path)?.[1] ?? [],
    );
    assert.ok(packages.includes('koa') && packages.includes('@aws-sdk/client-s3'), packages.join(', '));
    const missing = packages.filter((name) => !names.has(`pkg:npm/${name.replace('@', '%40')}`));
    assert.deepEqual(missing, []);
    for (const name of ['pkg:npm/vitest', 'pkg:npm/typescript']) assert.ok(!names.has(name), `${name} is a tool`);
    note(`image: ${names.size} parts are listed`);
  });
  await tally.check('image: both roles and the command line are in it', async () => {
    for (const words of [['serve', '--help'], ['scan-worker', '--help'], ['version']]) {
      const { code, stdout, stderr } = await new Container(store, { image, name: 'words', words }).run();
      assert.equal(code, 0, stderr);
      assert.match(stdout, words[0] === 'version' ? /^entrepot \d/ : new RegExp(`^Usage: entrepot ${words[0]}`));
    }
  });
}

/** Runs Node in the image. @param {ImageSetting['store']} store @param {string} image @param {readonly string[]} words */
async function inside(store, image, words) {
  return await new Container(store, { image, name: 'node', program: 'node', words }).run();
}

/** @param {number} bytes */
function megabytes(bytes) {
  return `${Math.round(bytes / 1e5) / 10} MB`;
}
