import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { tarball } from './tar.mjs';

/** Media types (OCI image specification 1.1, Docker image manifest version 2 schema 2, Helm). */
export const TYPES = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  foreignLayer: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  empty: 'application/vnd.oci.empty.v1+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  helmConfig: 'application/vnd.cncf.helm.config.v1+json',
  helmChart: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
  signature: 'application/vnd.dev.sigstore.bundle.v0.3+json',
  simpleSigning: 'application/vnd.dev.cosign.simplesigning.v1+json',
};

/** @typedef {{ mediaType: string, digest: string, size: number, [more: string]: unknown }} Descriptor */
/** @typedef {{ bytes: Buffer, mediaType: string, tags: readonly string[], descriptor: Descriptor }} Manifest */

/** One name in a registry, with everything that is in it, in an order in which it can be pushed. */
export class ImageSet {
  /** @param {string} name as in `/v2/<name>/…` */
  constructor(name) {
    this.name = name;
    /** By digest. @type {Map<string, Buffer>} */
    this.blobs = new Map();
    /** Children before what names them. @type {Manifest[]} */
    this.manifests = [];
  }

  /** @param {Buffer} bytes @param {string} mediaType @returns {Descriptor} */
  blob(bytes, mediaType) {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  /**
   * @param {string} mediaType
   * @param {Record<string, unknown>} content
   * @param {readonly string[]} [tags]
   * @returns {Descriptor}
   */
  manifest(mediaType, content, tags = []) {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...content }, undefined, 2));
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
    this.manifests.push({ bytes, mediaType, tags, descriptor });
    return descriptor;
  }

  /** What a tag names. @param {string} tag @returns {Manifest} */
  tagged(tag) {
    const found = this.manifests.find(({ tags }) => tags.includes(tag));
    if (found === undefined) throw new Error(`${this.name} has no tag ${tag}`);
    return found;
  }

  get tags() {
    return this.manifests.flatMap(({ tags }) => tags).toSorted();
  }

  /**
   * Writes an OCI image layout, as `skopeo copy oci:FOLDER:TAG` takes it.
   * @param {string} folder
   */
  async writeLayout(folder) {
    await mkdir(join(folder, 'blobs/sha256'), { recursive: true });
    await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    const manifests = this.manifests.flatMap(({ descriptor, tags }) =>
      tags.map((tag) => ({ ...descriptor, annotations: { 'org.opencontainers.image.ref.name': tag } })),
    );
    await writeFile(
      join(folder, 'index.json'),
      JSON.stringify({ schemaVersion: 2, mediaType: TYPES.index, manifests }),
    );
    const all = [...this.blobs, ...this.manifests.map(({ descriptor, bytes }) => [descriptor.digest, bytes])];
    for (const [digest, bytes] of /** @type {[string, Buffer][]} */ (all)) {
      await writeFile(join(folder, 'blobs', digest.replace(':', '/')), bytes);
    }
  }
}

/** @param {Buffer} bytes */
export function digestOf(bytes) {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Bytes that no compression makes smaller, the same every time. @param {string} seed @param {number} size */
export function noise(seed, size) {
  const blocks = [];
  for (let made = 0, at = 0; made < size; made += 64, at += 1) {
    blocks.push(createHash('sha512').update(`${seed} ${at}`).digest());
  }
  return Buffer.concat(blocks).subarray(0, size);
}

const ARCHITECTURES = ['amd64', 'arm64'];
/** @type {{ manifest: string, config: string, layer: string }} */
const OCI = { manifest: TYPES.manifest, config: TYPES.config, layer: TYPES.layer };
const DOCKER = { manifest: TYPES.dockerManifest, config: TYPES.dockerConfig, layer: TYPES.dockerLayer };

/**
 * One image for one architecture: a layer that all of a set share, and one of its own.
 * @param {ImageSet} set
 * @param {string} architecture
 * @param {{ seed?: string, size?: number, types?: typeof OCI, tags?: readonly string[], more?: readonly Descriptor[] }} [options]
 * @returns {Descriptor} with its platform
 */
function image(set, architecture, { seed = '1', size = 40_000, types = OCI, tags = [], more = [] } = {}) {
  const layers = [
    tarball({ 'etc/os-release': { body: `NAME="${set.name}"\n` }, 'shared.bin': { body: noise(set.name, 30_000) } }),
    tarball({ [`bin/app-${architecture}`]: { body: noise(`${architecture} ${seed}`, size), executable: true } }),
  ];
  const diffs = layers.map((layer) => digestOf(gunzipSync(layer)));
  const config = {
    architecture,
    os: 'linux',
    created: '2024-01-01T00:00:00Z',
    config: { Entrypoint: [`/bin/app-${architecture}`], Labels: { seed } },
    rootfs: { type: 'layers', diff_ids: [...diffs, ...more.map(({ digest }) => digest)] },
    history: [],
  };
  const content = {
    config: set.blob(Buffer.from(JSON.stringify(config)), types.config),
    layers: [...layers.map((layer) => set.blob(layer, types.layer)), ...more],
    ...(types === OCI && { annotations: { 'org.opencontainers.image.version': seed } }),
  };
  return { ...set.manifest(types.manifest, content, tags), platform: { architecture, os: 'linux' } };
}

/** @param {ImageSet} set @param {readonly string[]} tags @param {string} seed */
function multiArch(set, tags, seed) {
  const manifests = ARCHITECTURES.map((architecture) => image(set, architecture, { seed }));
  return set.manifest(TYPES.index, { manifests, annotations: { 'org.opencontainers.image.title': set.name } }, tags);
}

/** An image for several architectures, another one by each tag. @param {string} name @param {readonly string[]} tags */
export function imagesOf(name, tags) {
  const set = new ImageSet(name);
  for (const tag of tags) multiArch(set, [tag], tag);
  return set;
}

/** An artifact that says something of `subject`. @param {ImageSet} set @param {Descriptor} subject @param {string} artifactType @param {readonly string[]} [tags] */
function referrer(set, subject, artifactType, tags = []) {
  const config = set.blob(Buffer.from('{}'), TYPES.empty);
  const layer = set.blob(Buffer.from(JSON.stringify({ of: subject.digest, artifactType })), artifactType);
  const annotations = { 'org.opencontainers.image.created': '2024-01-01T00:00:00Z' };
  const content = { artifactType, config, layers: [layer], subject: plain(subject), annotations };
  return { ...set.manifest(TYPES.manifest, content, tags), artifactType, annotations };
}

/** @param {Descriptor} descriptor */
function plain({ mediaType, digest, size }) {
  return { mediaType, digest, size };
}

/**
 * What the tests pull: several architectures, nested indexes, Docker's own formats, signatures of both kinds, a chart, a
 * layer that is not to be distributed, and one that is large enough to be slow. The same bytes every time.
 * @param {{ chart: Buffer }} options `chart`: a packaged Helm chart `demo` 1.0.0+build.1
 */
export function fixtureImages({ chart }) {
  const app = new ImageSet('team/app');
  const first = multiArch(app, ['1.0', 'latest'], '1.0');
  multiArch(app, ['2.0-rc.1'], '2.0-rc.1');
  image(app, 'amd64', { seed: 'one', tags: ['amd64-only'] });

  const signed = new ImageSet('team/signed');
  const subject = multiArch(signed, ['1.0'], 'signed');
  const referrers = [
    referrer(signed, subject, TYPES.signature),
    referrer(signed, subject, 'application/vnd.example.sbom+json'),
  ];
  const hex = subject.digest.replace(':', '-');
  // The fallback for registries without the referrers API (distribution-spec 1.1, referrers tag schema).
  signed.manifest(TYPES.index, { manifests: referrers }, [hex]);
  const payload = signed.blob(Buffer.from('{"critical":{}}'), TYPES.simpleSigning);
  const signature = { 'dev.cosignproject.cosign/signature': 'MEUCIQ==' };
  const signatureConfig = signed.blob(
    Buffer.from('{"architecture":"","os":"","rootfs":{"type":"layers","diff_ids":[]}}'),
    TYPES.config,
  );
  const cosign = { config: signatureConfig, layers: [{ ...payload, annotations: signature }] };
  signed.manifest(TYPES.manifest, cosign, [`${hex}.sig`]);

  const nested = new ImageSet('team/nested');
  const inner = [multiArch(nested, [], 'inner-1'), multiArch(nested, [], 'inner-2')];
  nested.manifest(TYPES.index, { manifests: inner }, ['1.0']);

  const docker = new ImageSet('library/docker');
  const images = ARCHITECTURES.map((architecture) => image(docker, architecture, { types: DOCKER }));
  docker.manifest(TYPES.dockerList, { manifests: images }, ['1.0']);

  const foreign = new ImageSet('team/foreign');
  const absent = noise('foreign', 5000);
  const base = { mediaType: TYPES.foreignLayer, digest: digestOf(absent), size: absent.length };
  image(foreign, 'amd64', { tags: ['1.0'], more: [{ ...base, urls: ['http://127.0.0.1:9/layer'] }] });

  // A name that is made of the words of the protocol.
  const words = new ImageSet('team/blobs/uploads/tags/list');
  image(words, 'amd64', { tags: ['manifests'] });

  const large = new ImageSet('team/large');
  image(large, 'amd64', { seed: 'large', size: 12_000_000, tags: ['1.0'] });

  const charts = new ImageSet('charts/demo');
  const chartConfig = charts.blob(
    Buffer.from(JSON.stringify({ apiVersion: 'v2', name: 'demo', version: '1.0.0+build.1', type: 'application' })),
    TYPES.helmConfig,
  );
  charts.manifest(TYPES.manifest, { config: chartConfig, layers: [charts.blob(chart, TYPES.helmChart)] }, [
    '1.0.0_build.1',
  ]);

  return { app, signed, nested, docker, foreign, words, large, charts, first, subject, referrers };
}
