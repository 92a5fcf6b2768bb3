import type { PrometheusMetrics } from '../drivers/metrics/prometheus.js';
import type { RepositoryUsage, SpaceUsage, UsageOverview } from './space-usage.js';

/** Shows what is kept, and how much room there is. */
export function watchSpace(metrics: PrometheusMetrics, usage: SpaceUsage): void {
  const number = (name: string, help: string, read: (usage: UsageOverview) => number | undefined) =>
    metrics.watchSeries(name, help, [], async () => {
      const value = read(await known());
      return value === undefined ? [] : [{ labels: {}, value }];
    });
  const ofEach = (name: string, help: string, read: (usage: RepositoryUsage) => number | undefined) =>
    metrics.watchSeries(name, help, ['repository'], async () =>
      (await known()).repositories.flatMap((one) => {
        const value = read(one);
        return value === undefined ? [] : [{ labels: { repository: one.name }, value }];
      }),
    );
  number('entrepot_storage_bytes', 'Bytes of all blobs.', ({ bytes }) => bytes);
  number('entrepot_storage_blobs', 'Blobs in the store.', ({ blobs }) => blobs);
  number('entrepot_storage_max_bytes', 'The bound on all blobs, where there is one.', ({ maxBytes }) => maxBytes);
  number('entrepot_storage_free_bytes', 'Bytes that can be written to the volume.', ({ freeBytes }) => freeBytes);
  ofEach('entrepot_repository_bytes', 'Bytes that the entries of a repository name.', ({ bytes }) => bytes);
  ofEach('entrepot_repository_entries', 'Entries of a repository.', ({ entries }) => entries);
  ofEach('entrepot_repository_quota_bytes', 'The quota of a repository, where it has one.', ({ quota }) => quota);
  for (const [name, help, read] of [
    ['entrepot_project_bytes', 'Bytes that the entries of the repositories of a project name.', 'bytes'],
    ['entrepot_project_quota_bytes', 'The quota of a project.', 'quota'],
  ] as const)
    metrics.watchSeries(name, help, ['project'], async () =>
      (await known()).projects.map((one) => ({ labels: { project: one.name }, value: one[read] })),
    );
  metrics.watchSeries(
    'entrepot_storage_full',
    '1 where nothing more can be evicted and new bytes are not kept: the store, its volume, a repository or a project with a quota.',
    ['scope', 'repository'],
    async () => {
      const { isFull, isVolumeFull, repositories, projects } = await known();
      const bounded = repositories.filter(({ quota }) => quota !== undefined);
      return [
        { labels: { scope: 'store', repository: '' }, value: Number(isFull) },
        { labels: { scope: 'volume', repository: '' }, value: Number(isVolumeFull) },
        ...bounded.map(({ name, isFull: own }) => ({
          labels: { scope: 'repository', repository: name },
          value: Number(own),
        })),
        ...projects.map(({ name, isFull: own }) => ({
          labels: { scope: 'project', repository: name },
          value: Number(own),
        })),
      ];
    },
  );

  async function known(): Promise<UsageOverview> {
    const found = await usage.recent();
    if (found === undefined) throw new Error('the database has not answered');
    return found;
  }
}
