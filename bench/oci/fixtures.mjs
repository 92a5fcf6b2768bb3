import { createHash } from 'node:crypto';
import { ImageSet, TYPES } from '@entrepot/fixtures/oci-images';
import { seededBytes } from '../lib/fixtures.mjs';

/** Sizes of layers in KB. Every server has an image with each of them warm. */
export const LAYER_KILOBYTES = [4, 3_000, 100_000];
export const MANY_TAGS = 100_000;
/** Bytes a second that the origin sends of a cold layer. */
export const TRICKLE = 100_000_000;

const MEBIBYTE = 1024 ** 2;

/** The image `app:1.0`. Its layers are no archives: no server under test looks inside. */
export function warmImage() {
  const set = new ImageSet('bench/app');
  const layers = LAYER_KILOBYTES.map((size) => set.blob(seededBytes(`layer ${size}`, size * 1000), TYPES.layer));
  addManifest(set, layers, '1.0');
  return set;
}

/** The digest of the layer of the warm image that has this many KB. */
export function layerDigest(set, kilobytes) {
  return [...set.blobs].find(([, { length }]) => length === kilobytes * 1000)[0];
}

function addManifest(set, layers, tag) {
  const config = {
    architecture: 'amd64',
    os: 'linux',
    created: '2024-01-01T00:00:00Z',
    config: {},
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    history: [],
  };
  const content = { config: set.blob(Buffer.from(JSON.stringify(config)), TYPES.config), layers };
  return set.manifest(TYPES.manifest, content, [tag]);
}

/** A layer too large to be held: a block again and again, behind a number that makes it another one for each run. */
export class ColdLayer {
  #head;
  #block;

  /** @param {number} megabytes @param {number} turn which of those that nobody has asked for yet */
  constructor(megabytes, turn) {
    this.size = megabytes * 1_000_000;
    this.#head = seededBytes(`cold ${megabytes} ${turn}`, 64);
    this.#block = seededBytes('cold', MEBIBYTE);
    const hash = createHash('sha256');
    for (const bytes of this.pieces()) hash.update(bytes);
    this.digest = `sha256:${hash.digest('hex')}`;
  }

  *pieces() {
    yield this.#head;
    for (let left = this.size - this.#head.length; left > 0; left -= MEBIBYTE) {
      yield left < MEBIBYTE ? this.#block.subarray(0, left) : this.#block;
    }
  }
}

/** The image `cold-<megabytes>-<turn>:1.0`; its layer is not among its blobs. */
export function coldImage(megabytes, turn) {
  const set = new ImageSet(`bench/cold-${megabytes}-${turn}`);
  const layer = new ColdLayer(megabytes, turn);
  addManifest(set, [{ mediaType: TYPES.layer, digest: layer.digest, size: layer.size }], '1.0');
  return { set, layer };
}

export function manyTags(count) {
  return Array.from({ length: count }, (_, index) => `v${index}`).sort();
}
