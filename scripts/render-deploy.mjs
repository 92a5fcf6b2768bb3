// Writes what is made from the Helm chart: plain manifests, the dashboard and the alert rules beside it, and the table of values in
// docs/kubernetes.md. The version of the chart is that of the server. `--check` writes nothing, and fails where something is not up
// to date. Needs helm, as `node acceptance/install-tools.mjs --chart` puts it into the cache folder.
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { provideTool } from '@entrepot/fixtures/tools';
import { isMap, isScalar, parseDocument } from 'yaml';
import { CHART, example, nameOf, render, stringifyManifest } from '@entrepot/fixtures/helm-chart';

const DEPLOY = fileURLToPath(new URL('../deploy', import.meta.url));
const PAGE = fileURLToPath(new URL('../docs/kubernetes.md', import.meta.url));
const TABLE = /(?<=<!-- generated: values -->\n)[\s\S]*?(?=<!-- end of values -->)/;

/** The secrets that these manifests expect stand in docs/kubernetes.md. */
const VALUES = { auth: { existingSecret: 'entrepot' } };
/** Plain manifests, by the example that they are made from. */
const MANIFESTS = {
  'single.yaml': 'default.yaml',
  'ha-s3.yaml': 'ha-s3.yaml',
  'ha-shared-volume.yaml': 'ha-shared-volume.yaml',
};
/** Nothing of these is applied by Helm. */
const LABELS_OF_HELM = ['app.kubernetes.io/managed-by', 'helm.sh/chart'];

const { values: options } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
const helm = await provideTool('helm-4');
if (helm === undefined) throw new Error('helm was expected: run `node acceptance/install-tools.mjs --chart`');

let isStale = false;
// First: what is rendered has the version.
const { version } = JSON.parse(readFileSync(new URL('../host/package.json', import.meta.url), 'utf8'));
const chart = join(CHART, 'Chart.yaml');
put(chart, readFileSync(chart, 'utf8').replaceAll(/^(version|appVersion): .*$/gm, `$1: ${version}`));
put(join(DEPLOY, 'grafana', 'entrepot.json'), readFileSync(join(CHART, 'files', 'dashboard.json'), 'utf8'));
put(join(DEPLOY, 'prometheus', 'rules.yaml'), readFileSync(join(CHART, 'files', 'rules.yaml'), 'utf8'));
put(
  PAGE,
  readFileSync(PAGE, 'utf8').replace(TABLE, () => valuesTable()),
);
for (const [file, from] of Object.entries(MANIFESTS)) {
  put(join(DEPLOY, 'kubernetes', file), await manifests(helm, from));
}
process.exitCode = options.check && isStale ? 1 : 0;

/** @param {string} file @param {string} content */
function put(file, content) {
  if (contentOf(file) === content) return;
  isStale = true;
  if (options.check) process.stdout.write(`${file} is not up to date: run \`node scripts/render-deploy.mjs\`\n`);
  else writeFileSync(file, content);
}

/** @param {string} file */
function contentOf(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Plain manifests of an example. @param {string} helm @param {string} from */
async function manifests(helm, from) {
  const rendering = { files: [example(from)], values: VALUES, namespace: 'entrepot' };
  const rendered = await render(helm, tmpdir(), rendering);
  // Secrets are made by whoever applies these.
  const shown = rendered.filter(({ kind }) => kind !== 'Secret');
  const parts = shown.map((manifest) => {
    for (const label of LABELS_OF_HELM) delete manifest.metadata.labels[label];
    delete manifest.metadata.annotations?.['helm.sh/resource-policy'];
    if (Object.keys(manifest.metadata.annotations ?? {}).length === 0) delete manifest.metadata.annotations;
    return `# ${nameOf(manifest)}\n${stringifyManifest(manifest)}`;
  });
  const head = [
    `# Made from deploy/helm/entrepot/examples/${from} by scripts/render-deploy.mjs: edits here are lost.`,
    '# The secrets that are expected, and what to change, are in docs/kubernetes.md.',
  ];
  return `${head.join('\n')}\n---\n${parts.join('---\n')}`;
}

/** A row for each value that has a comment of its own. */
function valuesTable() {
  const document = parseDocument(readFileSync(join(CHART, 'values.yaml'), 'utf8'));
  const rows = ['| value | default | meaning |', '| --- | --- | --- |'];
  addRowsOf(document.contents, '', rows);
  return `\n${rows.join('\n')}\n\n`;
}

/** @param {unknown} map @param {string} above @param {string[]} rows */
function addRowsOf(map, above, rows) {
  if (!isMap(map)) return;
  // The comment before the first key counts as one of the map.
  let ofMap = map.commentBefore;
  for (const { key, value } of map.items) {
    if (!isScalar(key)) continue;
    const name = `${above}${key.value}`;
    const text = textOf(key.commentBefore ?? ofMap ?? '');
    ofMap = undefined;
    if (text === undefined) addRowsOf(value, `${name}.`, rows);
    else rows.push(`| \`${name}\` | ${defaultOf(value)} | ${text.replaceAll('|', '\\|')} |`);
  }
}

/** The text in a comment about the value below it. @param {string} comment */
function textOf(comment) {
  const lines = comment.split('\n').map((line) => line.trim());
  const begin = lines.findLastIndex((line) => line.startsWith('-- '));
  return begin < 0 ? undefined : lines.slice(begin).join(' ').replace('-- ', '');
}

/** @param {unknown} value */
function defaultOf(value) {
  const plain = isScalar(value) ? value.value : /** @type {{ toJSON(): unknown }} */ (value).toJSON();
  if (plain === '' || plain === null) return '';
  const text = typeof plain === 'string' ? plain : JSON.stringify(plain);
  return text.length > 60 ? 'see `values.yaml`' : `\`${text}\``;
}
