import type { FakeUpstream } from '@entrepot/core/testing';

const DATE = '2020-01-01T00:00:00.000Z';

/** The documents of every format with one string in every place that a parser looks at; below paths of their own. */
export function serveDocuments(upstream: FakeUpstream, name: string, text: string): readonly string[] {
  const json = (value: unknown, mediaType = 'application/json') => ({ body: JSON.stringify(value), mediaType });
  const line = text.replaceAll(/[\r\n]/g, ' ');
  const html = text.replaceAll('"', '%22');
  const tarball = `${upstream.url}/${name}/-/${name}-1.0.0.tgz`;
  const version = { name, version: '1.0.0', license: text, dist: { tarball, integrity: text, shasum: text } };
  upstream.serve(
    `/${name}`,
    json({
      name,
      'dist-tags': { latest: '1.0.0', [text]: text },
      versions: { '1.0.0': version, [text]: { ...version, version: text, dist: { tarball: text } } },
      time: { '1.0.0': DATE, [text]: text },
      license: text,
    }),
  );
  upstream.serve(`/simple/${name}/`, {
    body: `<!DOCTYPE html><html><body><a href="${html}#sha256=${html}" data-requires-python="${html}">${text}</a>
      <a href="/${name}-${html}.tar.gz">${name}-${text}.tar.gz</a></body></html>`,
    mediaType: 'text/html',
  });
  upstream.serve(
    `/simple/${name}-json/`,
    json(
      {
        meta: { 'api-version': '1.0' },
        name: `${name}-json`,
        versions: [text],
        files: [{ filename: `${name}-json-${text}.tar.gz`, url: text, hashes: { sha256: text }, 'upload-time': text }],
      },
      'application/vnd.pypi.simple.v1+json',
    ),
  );
  upstream.serve(`/a.test/${name}/@v/list`, { body: `v1.0.0\n${line}\nv1.0.0-${line}\n`, mediaType: 'text/plain' });
  upstream.serve(`/a.test/${name}/@latest`, json({ Version: text, Time: text }));
  upstream.serve(`/v2/${name}/tags/list`, {
    ...json({ name, tags: [text, '1.0'] }),
    headers: { Link: `<${encodeURI(line)}>; rel="next"` },
  });
  upstream.serve(
    `/v2/${name}/manifests/latest`,
    json(
      {
        schemaVersion: 2,
        mediaType: text,
        config: { mediaType: text, digest: text, size: 1 },
        layers: [{ mediaType: text, digest: text, size: 1 }],
      },
      'application/vnd.oci.image.manifest.v1+json',
    ),
  );
  return [
    `/npm/${name}`,
    `/npm/${name}/latest`,
    `/pypi/simple/${name}/`,
    `/pypi/simple/${name}-json/`,
    `/go/a.test/${name}/@v/list`,
    `/go/a.test/${name}/@latest`,
    `/v2/images/${name}/tags/list`,
    `/v2/images/${name}/manifests/latest`,
  ];
}
