import { strict as assert } from 'node:assert';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '@entrepot/fixtures/oci-images';
import { provideTool } from '@entrepot/fixtures/tools';
import { ctr } from './ctr.mjs';
import { at, imageId, readJson, refused, run } from './oci-command.mjs';

/** @import { OciClient, OciSetting } from './oci-command.mjs' */

/** @type {OciClient} */
const skopeo = {
  name: 'skopeo',
  async read(setting) {
    const { home, from, images } = setting;
    const plain = ['--tls-verify=false'];
    const listed = await run(setting, 'skopeo', [
      'list-tags',
      ...plain,
      `docker://${from.host}/${from.prefix}team/app`,
    ]);
    assert.deepEqual(JSON.parse(listed).Tags.toSorted(), images.app.tags);
    for (const set of [images.app, images.nested, images.docker, images.foreign, images.words, images.charts]) {
      for (const tag of set.tags) {
        const raw = await run(setting, 'skopeo', ['inspect', '--raw', ...plain, `docker://${at(from, set.name, tag)}`]);
        assert.equal(raw, set.tagged(tag).bytes.toString(), `${set.name}:${tag}`);
      }
    }
    const inspected = await run(setting, 'skopeo', ['inspect', ...plain, `docker://${at(from, 'team/app')}`]);
    assert.equal(JSON.parse(inspected).Digest, images.first.digest);
    for (const set of [images.app, images.docker, images.large]) {
      const folder = join(home, 'out', set.name);
      await mkdir(folder, { recursive: true });
      const source = `docker://${at(from, set.name)}`;
      await run(setting, 'skopeo', ['copy', '--all', '--src-tls-verify=false', source, `dir:${folder}`]);
      assert.deepEqual(await readFile(join(folder, 'manifest.json')), set.tagged('1.0').bytes);
    }
    const signature = `${images.subject.digest.replace(':', '-')}.sig`;
    const target = `dir:${join(home, 'signature')}`;
    const source = `docker://${at(from, 'team/signed', signature)}`;
    await run(setting, 'skopeo', ['copy', '--src-tls-verify=false', source, target]);
  },
  async write(setting) {
    const { home, to, images } = setting;
    const layout = join(home, 'layout');
    await images.app.writeLayout(layout);
    const target = `docker://${at(to, 'skopeo/app')}`;
    await run(setting, 'skopeo', ['copy', '--all', '--dest-tls-verify=false', `oci:${layout}:1.0`, target]);
    const raw = await run(setting, 'skopeo', ['inspect', '--raw', '--tls-verify=false', target]);
    assert.equal(raw, images.app.tagged('1.0').bytes.toString());
    const back = join(home, 'back');
    await mkdir(back);
    await run(setting, 'skopeo', ['copy', '--all', '--src-tls-verify=false', target, `dir:${back}`]);
    assert.deepEqual(await readFile(join(back, 'manifest.json')), images.app.tagged('1.0').bytes);
    await run(setting, 'skopeo', ['delete', '--tls-verify=false', target]);
    await refused(setting, 'skopeo', ['inspect', '--raw', '--tls-verify=false', target]);
  },
};

/** Flags for a store of its own. @param {string} home */
function storage(home) {
  return ['--root', join(home, 'storage'), '--runroot', join(home, 'run'), '--storage-driver', 'vfs'];
}

/** @type {OciClient} */
const buildah = {
  name: 'buildah',
  async read(setting) {
    const { home, from, images } = setting;
    for (const architecture of ['amd64', 'arm64']) {
      const flags = ['pull', '--quiet', '--tls-verify=false', '--arch', architecture];
      const id = await run(setting, 'buildah', [...storage(home), ...flags, at(from, 'team/app')]);
      assert.equal(id.trim(), imageId(images.app, architecture, '1.0'));
    }
    const flags = ['pull', '--quiet', '--tls-verify=false'];
    const id = await run(setting, 'buildah', [...storage(home), ...flags, at(from, 'team/app', images.first.digest)]);
    assert.equal(id.trim(), imageId(images.app, process.arch === 'arm64' ? 'arm64' : 'amd64', '1.0'));
  },
  async write(setting) {
    const { home, from, to } = setting;
    const store = storage(home);
    const pull = ['pull', '--quiet', '--tls-verify=false', '--arch', 'amd64'];
    const base = (await run(setting, 'buildah', [...store, ...pull, at(from, 'team/app')])).trim();
    const container = (await run(setting, 'buildah', [...store, 'from', '--pull-never', base])).trim();
    await writeFile(join(home, 'added'), 'a file of our own\n');
    await run(setting, 'buildah', [...store, 'copy', container, join(home, 'added'), '/added']);
    const committed = (await run(setting, 'buildah', [...store, 'commit', '--quiet', container])).trim();
    for (const name of ['buildah/one', 'buildah/two']) {
      // The second one mounts what the first has.
      const push = ['push', '--quiet', '--tls-verify=false', committed, `docker://${at(to, name)}`];
      await run(setting, 'buildah', [...store, ...push]);
    }
    await rm(join(home, 'storage'), { recursive: true, force: true });
    const back = await run(setting, 'buildah', [...store, ...pull, at(to, 'buildah/two')]);
    assert.equal(back.trim(), committed);
  },
};

/** @type {OciClient} */
const podman = {
  name: 'podman',
  async read(setting) {
    const { home, from, images } = setting;
    const store = storage(home);
    const search = ['search', '--list-tags', '--tls-verify=false', '--limit', '100', '--format', 'json'];
    const [found] = JSON.parse(
      await run(setting, 'podman', [...store, ...search, `${from.host}/${from.prefix}team/app`]),
    );
    assert.deepEqual(found.Tags.toSorted(), images.app.tags);
    const pull = ['pull', '--quiet', '--tls-verify=false', '--arch', 'arm64'];
    const id = await run(setting, 'podman', [...store, ...pull, at(from, 'team/app')]);
    assert.equal(id.trim(), imageId(images.app, 'arm64', '1.0'));
    const docker = await run(setting, 'podman', [...store, ...pull, at(from, 'library/docker')]);
    assert.equal(docker.trim(), imageId(images.docker, 'arm64', '1'));
    if (from.namespace === undefined) return;
    // A mirror of a whole registry: names stay as they are.
    const mirror = [
      '[[registry]]',
      `prefix = "${from.namespace}"`,
      `location = "${from.namespace}"`,
      '[[registry.mirror]]',
      `location = "${from.host}/${from.prefix.replace(/\/$/, '')}"`,
      'insecure = true',
    ];
    const file = join(home, 'registries.conf');
    await writeFile(file, `${mirror.join('\n')}\n`);
    const mirrored = `${from.namespace}/team/signed:1.0`;
    const signed = await run(setting, 'podman', ['--registries-conf', file, ...store, ...pull, mirrored]);
    assert.equal(signed.trim(), imageId(images.signed, 'arm64', 'signed'));
  },
  async write(setting) {
    const { home, from, to } = setting;
    const store = storage(home);
    const pull = ['pull', '--quiet', '--tls-verify=false', '--arch', 'amd64'];
    const id = (await run(setting, 'podman', [...store, ...pull, at(from, 'team/app')])).trim();
    await run(setting, 'podman', [...store, 'push', '--quiet', '--tls-verify=false', id, at(to, 'podman/app')]);
    await run(setting, 'podman', [...store, 'rmi', '--all', '--force']);
    const back = await run(setting, 'podman', [...store, ...pull, at(to, 'podman/app')]);
    assert.equal(back.trim(), id);
  },
};

/** @type {OciClient} */
const crane = {
  name: 'crane',
  async read(setting) {
    const { home, from, images } = setting;
    const insecure = ['--insecure'];
    const listed = await run(setting, 'crane', ['ls', ...insecure, `${from.host}/${from.prefix}team/app`]);
    assert.deepEqual(listed.trim().split('\n').toSorted(), images.app.tags);
    for (const set of [images.app, images.nested, images.docker, images.words]) {
      const [tag = ''] = set.tags;
      const { descriptor, bytes } = set.tagged(tag);
      const digest = await run(setting, 'crane', ['digest', ...insecure, at(from, set.name, tag)]);
      assert.equal(digest.trim(), descriptor.digest);
      const manifest = await run(setting, 'crane', ['manifest', ...insecure, at(from, set.name, descriptor.digest)]);
      assert.equal(digestOf(Buffer.from(manifest.trimEnd())), digestOf(bytes));
    }
    // Reads every layer and looks at every sum.
    await run(setting, 'crane', ['validate', ...insecure, '--remote', at(from, 'team/app')]);
    const folder = join(home, 'nested');
    await run(setting, 'crane', ['pull', ...insecure, '--format=oci', at(from, 'team/nested'), folder]);
    const [pulled] = (await readJson(join(folder, 'index.json'))).manifests;
    assert.equal(pulled.digest, images.nested.tagged('1.0').descriptor.digest);
  },
  async write(setting) {
    const { from, to, images } = setting;
    const target = at(to, 'crane/app');
    const { digest } = images.first;
    await run(setting, 'crane', ['copy', '--insecure', at(from, 'team/app'), target]);
    await run(setting, 'crane', ['tag', '--insecure', target, 'stable']);
    for (const tag of ['1.0', 'stable']) {
      assert.equal((await run(setting, 'crane', ['digest', '--insecure', at(to, 'crane/app', tag)])).trim(), digest);
    }
    await run(setting, 'crane', ['validate', '--insecure', '--remote', target]);
    // Another name in the same registry: mounted, not sent again.
    await run(setting, 'crane', ['copy', '--insecure', target, at(to, 'crane/other')]);
    await run(setting, 'crane', ['delete', '--insecure', at(to, 'crane/app', digest)]);
    await refused(setting, 'crane', ['digest', '--insecure', at(to, 'crane/app', 'stable')]);
    await run(setting, 'crane', ['validate', '--insecure', '--remote', at(to, 'crane/other')]);
  },
};

/** @param {OciSetting} setting @param {string} reference @returns {Promise<string[]>} digests of what refers to it */
async function discover(setting, reference) {
  const text = await run(setting, 'oras', ['discover', '--plain-http', '--format', 'json', reference]);
  const found = JSON.parse(text);
  return (found.referrers ?? found.manifests ?? [])
    .map((/** @type {{ digest: string }} */ { digest }) => digest)
    .toSorted();
}

/** @type {OciClient} */
const oras = {
  name: 'oras',
  async read(setting) {
    const { home, from, images } = setting;
    const listed = await run(setting, 'oras', ['repo', 'tags', '--plain-http', `${from.host}/${from.prefix}team/app`]);
    assert.deepEqual(listed.trim().split('\n').toSorted(), images.app.tags);
    const fetched = await run(setting, 'oras', ['manifest', 'fetch', '--plain-http', at(from, 'team/nested')]);
    assert.equal(fetched, images.nested.tagged('1.0').bytes.toString());
    const expected = images.referrers.map(({ digest }) => digest).toSorted();
    assert.deepEqual(await discover(setting, at(from, 'team/signed')), expected);
    const layout = join(home, 'layout');
    const copy = ['copy', '--recursive', '--from-plain-http', at(from, 'team/signed')];
    await run(setting, 'oras', [...copy, '--to-oci-layout', `${layout}:1.0`]);
    for (const digest of [...expected, images.subject.digest]) {
      assert.ok(existsSync(join(layout, 'blobs', digest.replace(':', '/'))), `${digest} was expected in the copy`);
    }
    const { tags } = images.charts;
    const pull = ['manifest', 'fetch', '--plain-http', at(from, 'charts/demo', tags[0])];
    assert.equal(await run(setting, 'oras', pull), images.charts.tagged(tags[0] ?? '').bytes.toString());
  },
  async write(setting) {
    const { home, from, to, images } = setting;
    const target = at(to, 'oras/signed');
    const copy = ['copy', '--recursive', '--from-plain-http', '--to-plain-http'];
    await run(setting, 'oras', [...copy, at(from, 'team/signed'), target]);
    const expected = images.referrers.map(({ digest }) => digest).toSorted();
    assert.deepEqual(await discover(setting, target), expected);
    await writeFile(join(home, 'note.txt'), 'reviewed\n');
    const attach = ['attach', '--plain-http', '--artifact-type', 'application/vnd.example.note', '--format', 'json'];
    const attached = JSON.parse(await run(setting, 'oras', [...attach, target, 'note.txt:text/plain'])).digest;
    assert.deepEqual(await discover(setting, target), [...expected, attached].toSorted());
    // The tags of cosign's older form are tags as any other.
    const signature = `${images.subject.digest.replace(':', '-')}.sig`;
    const plainCopy = ['copy', '--from-plain-http', '--to-plain-http', at(from, 'team/signed', signature)];
    await run(setting, 'oras', [...plainCopy, at(to, 'oras/signed', signature)]);
    const listed = await run(setting, 'oras', ['repo', 'tags', '--plain-http', `${to.host}/${to.prefix}oras/signed`]);
    assert.ok(listed.split('\n').includes(signature), listed);
    const remove = ['manifest', 'delete', '--plain-http', '--force', at(to, 'oras/signed', attached)];
    await run(setting, 'oras', remove);
    assert.deepEqual(await discover(setting, target), expected);
  },
};

export const OCI_CLIENTS = [skopeo, buildah, podman, ctr, crane, oras];

/**
 * Those of these names that are on this machine; `oci` names all.
 * @param {readonly string[]} names
 * @returns {Promise<OciClient[]>}
 */
export async function chooseOciClients(names) {
  const wanted = names.includes('oci') ? OCI_CLIENTS : OCI_CLIENTS.filter(({ name }) => names.includes(name));
  const found = [];
  for (const client of wanted) {
    const programs = await Promise.all([client.name, ...(client.also ?? [])].map(provideTool));
    if (programs.every((program) => program !== undefined)) found.push(client);
  }
  return found;
}
