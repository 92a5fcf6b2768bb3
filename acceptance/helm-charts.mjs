import { tarball } from './tar.mjs';

/**
 * @typedef {object} ChartOptions
 * @property {string} name
 * @property {string} version
 * @property {string} [description] the same version with another description is another archive
 * @property {readonly { name: string, version: string, repository: string }[]} [dependencies]
 * @property {Readonly<Record<string, string>>} [more] further files, below the folder of the chart
 */

/**
 * A chart as `helm package` makes it, the same bytes every time.
 * @param {ChartOptions} options
 * @returns {Buffer}
 */
export function chartArchive(options) {
  const files = chartFiles(options);
  const entries = Object.entries(files).map(([path, body]) => [`${options.name}/${path}`, { body }]);
  return tarball(Object.fromEntries(entries));
}

/** The files of a chart, by path. @param {ChartOptions} options @returns {Record<string, string>} */
export function chartFiles({ name, version, description = 'A chart to test with', dependencies = [], more = {} }) {
  // JSON is YAML.
  const chart = {
    apiVersion: 'v2',
    name,
    version,
    description,
    type: 'application',
    appVersion: '1.2.3',
    keywords: ['test'],
    ...(dependencies.length > 0 && { dependencies }),
  };
  return {
    'Chart.yaml': Object.entries(chart)
      .map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`)
      .join(''),
    'values.yaml': `replicas: 1\nname: ${name}\n`,
    'templates/configmap.yaml': [
      'apiVersion: v1',
      'kind: ConfigMap',
      'metadata:',
      '  name: {{ .Release.Name }}-{{ .Chart.Name }}',
      'data:',
      '  replicas: {{ .Values.replicas | quote }}',
      '',
    ].join('\n'),
    ...more,
  };
}
