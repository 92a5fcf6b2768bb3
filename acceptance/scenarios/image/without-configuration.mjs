import { strict as assert } from 'node:assert';
import { chown, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Container, PROGRAM } from '../../servers/container.mjs';

/** @import { ImageSetting } from '../image.mjs' */

/**
 * The image as it is: no configuration, a root that cannot be written, an empty volume for data, no network but its own loopback.
 * @param {ImageSetting} setting
 */
export async function withoutConfiguration({ tally, store, image, folder }) {
  const data = join(folder, 'defaults');
  await mkdir(data);
  await chown(data, 10001, 10001);
  const mounts = /** @type {const} */ ([[data, '/data', 'rw']]);
  const container = new Container(store, { image, name: 'defaults', mounts, network: 'none' });
  try {
    const isUp = await tally.check('image: without a configuration it starts on a read-only root', async () => {
      await container.launch();
      for (let left = 300; (await container.exec([...PROGRAM, 'health'])).code !== 0; left -= 1) {
        assert.ok(left > 0 && (await container.state()).isRunning, await container.logs());
        await delay(50);
      }
    });
    if (!isUp) return;
    await tally.check('image: everything that it keeps is in its volume', async () => {
      const found = new Set(await readdir(data));
      for (const name of ['admin.token', 'blobs', 'entrepot.db', 'spool'])
        assert.ok(found.has(name), `${name} was expected, found ${[...found].join(', ')}`);
    });
    await tally.check('image: it listens on every address of the container', async () => {
      const listeners = await evaluate(container, "fs.readFileSync('/proc/net/tcp', 'utf8')");
      // Port 8080, and the state of a listener.
      assert.match(listeners, /^ *\d+: 00000000:1F90 00000000:0000 0A /m);
    });
    await tally.check('image: its first process is the server, without any privilege', async () => {
      const status = await evaluate(container, "fs.readFileSync('/proc/1/status', 'utf8')");
      assert.match(await evaluate(container, "fs.readFileSync('/proc/1/cmdline', 'utf8')"), /^node\0.*\0serve\0$/);
      assert.match(status, /^Uid:\s+10001\s+10001\s+10001\s+10001$/m);
      assert.match(status, /^Gid:\s+10001\s/m);
      assert.match(status, /^CapEff:\s+0+$/m);
      assert.match(status, /^CapBnd:\s+0+$/m);
      assert.match(status, /^NoNewPrivs:\s+1$/m);
    });
    await tally.check('image: nothing else of its root can be written', async () => {
      for (const path of ['/app/x', '/tmp/x', '/etc/entrepot/x', '/plugins/x']) {
        const script = `try { fs.writeFileSync('${path}', ''); 'written' } catch ({ code }) { code }`;
        assert.equal(await evaluate(container, script), 'EROFS', path);
      }
    });
    await tally.check('image: commands talk to the server beside them, and its health check is one', async () => {
      assert.match(await container.output([...PROGRAM, 'health']), /"status":"ok"/);
      assert.match(await container.output([...PROGRAM, 'usage']), /^repository /m);
      assert.match(await container.output([...PROGRAM, 'pin', 'npm/**', '--note', 'all']), /pinned/);
    });
    await tally.check('image: doctor finds nothing wrong but upstreams that are out of reach', async () => {
      const { stdout } = await container.exec([...PROGRAM, 'doctor', '--json']);
      /** @type {{ status: string, check: string, detail: string }[]} */
      const findings = JSON.parse(stdout);
      const failed = findings.filter(({ status, check }) => status === 'fail' && !/upstream|clock/.test(check));
      assert.deepEqual(failed, []);
    });
    await tally.check('image: it stops with 0', async () => assert.equal(await container.stop(), 0));
  } finally {
    await container.remove();
  }
}

/** The value of an expression in a Node beside the server. @param {Container} container @param {string} expression */
async function evaluate(container, expression) {
  const script = `const fs = require('fs'); process.stdout.write(String(eval(${JSON.stringify(expression)})))`;
  return await container.output(['node', '--eval', script]);
}
