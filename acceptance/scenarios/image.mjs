import { withScratch } from '@entrepot/fixtures/scratch';
import { provideTool } from '@entrepot/fixtures/tools';
import { ImageStore } from '../servers/image-store.mjs';
import { note } from '../tally.mjs';
import { contents } from './image/contents.mjs';
import { overServices } from './image/over-services.mjs';
import { plugins } from './image/plugins.mjs';
import { running } from './image/running.mjs';
import { withoutConfiguration } from './image/without-configuration.mjs';

/** @import { ToolName } from '@entrepot/fixtures/tools' */
/** @import { Tally } from '../tally.mjs' */

/** @type {readonly ToolName[]} */
const TOOLS = ['mmdebstrap', 'buildah', 'podman', 'runc', 'skopeo'];

/** Name of the image in the scenario. */
const IMAGE = 'localhost/entrepot:test';

/**
 * The image of deploy/Dockerfile, built and run without a daemon.
 * @param {Tally} tally
 */
export async function image(tally) {
  const found = await Promise.all(TOOLS.map((name) => provideTool(name)));
  // Namespaces, overlays and files of other users are for root.
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || found.includes(undefined)) {
    note(`image: Linux, root and ${TOOLS.join(', ')} were expected: the scenario is left out`);
    return;
  }
  await withScratch('image', async (folder) => {
    const store = new ImageStore(folder);
    const started = performance.now();
    if (!(await tally.check('image: there are images to build and to run on', () => store.open()))) return;
    note(`image: bases in ${seconds(performance.now() - started)}, driver ${store.driver}`);
    const isBuilt = await tally.check('image: it is built', async () => {
      note(`image: built in ${seconds(await store.build(IMAGE))}`);
    });
    if (!isBuilt) return;
    const setting = { tally, store, folder, image: IMAGE };
    await contents(setting);
    await withoutConfiguration(setting);
    await running(setting);
    await overServices(setting);
    await plugins(setting);
  });
}

/**
 * @typedef {object} ImageSetting
 * @property {Tally} tally
 * @property {ImageStore} store
 * @property {string} folder
 * @property {string} image
 */

/** @param {number} milliseconds */
function seconds(milliseconds) {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
