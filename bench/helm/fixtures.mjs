import { chartArchive } from '@entrepot/fixtures/helm-charts';

/** Versions of each chart. */
export const VERSIONS = 130;
/** Charts of each repository; those of a smaller one are the first of the larger. */
export const CHARTS = { small: 10, medium: 100, large: 300 };

/** About as much as an entry of a public index says: 1 KB. */
const DESCRIPTION = 'What this chart is for, in as many words as charts of public repositories have. '.repeat(7).trim();

/** @param {number} index */
export function chartName(index) {
  return `chart-${String(index).padStart(3, '0')}`;
}

/** The same bytes every time. */
export function archiveOf(name, version) {
  return chartArchive({ name, version, description: `${DESCRIPTION} ${name} ${version}` });
}

/** Every chart of a repository of so many charts, with the name of its file. */
export function* everyArchive(charts) {
  for (let index = 0; index < charts; index++) {
    const name = chartName(index);
    for (let version = 0; version < VERSIONS; version++) {
      yield { name, file: `${name}-1.${version}.0.tgz`, bytes: archiveOf(name, `1.${version}.0`) };
    }
  }
}
