const POSTGRESQL = { backend: 'postgresql', postgresql: { host: 'db.example.com', existingSecret: 'database' } };
const BUCKET = { backend: 's3', s3: { bucket: 'packages' } };
const SHARED = { filesystem: { accessMode: 'ReadWriteMany' } };
const THREE = { replicaCount: { server: 3 } };
const SCALED = { autoscaling: { enabled: true, minReplicas: 1, maxReplicas: 4 } };
const WORKERS = { replicaCount: { scanner: 2 }, security: { enabled: true, scanners: { grype: { enabled: true } } } };

/**
 * Values that would lose data or could not start, each with what is said of them: what is wrong, and what to set.
 * @type {readonly { name: string, values: Record<string, unknown>, sentence: string }[]}
 */
export const REFUSALS = [
  {
    name: 'several servers over SQLite',
    values: { ...THREE, storage: BUCKET },
    sentence:
      'replicaCount.server: 3: several servers cannot share a SQLite database. Set metadata.backend to postgresql, or run one server.',
  },
  {
    name: 'autoscaling over SQLite',
    values: { ...SCALED, storage: BUCKET },
    sentence:
      'autoscaling.maxReplicas: 4: several servers cannot share a SQLite database. Set metadata.backend to postgresql, or run one server.',
  },
  {
    name: 'several servers over a volume of one of them',
    values: { ...THREE, metadata: POSTGRESQL },
    sentence:
      'replicaCount.server: 3: storage.filesystem.accessMode ReadWriteOnce is for one server. Set it to ReadWriteMany with a class of volumes that can do that, or set storage.backend to s3, azure or gcs.',
  },
  {
    name: 'autoscaling over a volume of one server',
    values: { ...SCALED, metadata: POSTGRESQL, storage: { filesystem: { accessMode: 'ReadWriteOncePod' } } },
    sentence: 'autoscaling.maxReplicas: 4: storage.filesystem.accessMode ReadWriteOncePod is for one server.',
  },
  {
    name: 'several servers over folders of nodes',
    values: {
      ...THREE,
      metadata: POSTGRESQL,
      storage: { filesystem: { useHostPath: true, accessMode: 'ReadWriteMany' } },
    },
    sentence:
      'a folder of a node (storage.filesystem.useHostPath) is another one on each node. Set storage.backend to s3, azure or gcs, or use a claim with accessMode ReadWriteMany, or run one server.',
  },
  {
    name: 'a folder of whatever node',
    values: { storage: { filesystem: { useHostPath: true } } },
    sentence:
      'storage.filesystem.useHostPath: on another node the server would find an empty folder. Bind it to the node: set server.nodeSelector or server.affinity.',
  },
  {
    name: 'several servers that do not know each other',
    values: { ...THREE, metadata: POSTGRESQL, storage: BUCKET, cluster: { enabled: false } },
    sentence: 'cluster.enabled is false, so the servers have no common secret',
  },
  {
    name: 'several servers with a token each',
    values: { ...THREE, metadata: POSTGRESQL, storage: BUCKET, auth: { enabled: false } },
    sentence:
      'auth.enabled is false, so each server would make a token of its own for the administration, which ends with its pod. Set auth.enabled to true.',
  },
  {
    name: 'scan workers over SQLite',
    values: { ...WORKERS, storage: BUCKET },
    sentence:
      'replicaCount.scanner: 2: scan workers cannot share a SQLite database with the server. Set metadata.backend to postgresql, or replicaCount.scanner to 0: the server scans then.',
  },
  {
    name: 'scan workers over a volume of the server',
    values: { ...WORKERS, metadata: POSTGRESQL },
    sentence: 'replicaCount.scanner: 2: scan workers cannot read the blobs of a volume that belongs to the server.',
  },
  {
    name: 'scan workers that have nothing to do',
    values: { replicaCount: { scanner: 1 }, metadata: POSTGRESQL, storage: BUCKET },
    sentence: 'replicaCount.scanner: security.enabled is false, so that nothing is scanned.',
  },
  {
    name: 'a bucket and a database that ends with its pod',
    values: { storage: BUCKET, metadata: { sqlite: { persistence: { enabled: false } } } },
    sentence:
      'metadata.sqlite.persistence.enabled: false: with storage.backend s3 the database, which says what the blobs are, would end with the pod. Set metadata.sqlite.persistence.enabled to true, or metadata.backend to postgresql.',
  },
  {
    name: 'SQLite on a volume that many write to',
    values: { storage: SHARED, metadata: { sqlite: { persistence: { enabled: false } } } },
    sentence: 'a SQLite database is damaged on a volume that several machines write to (ReadWriteMany).',
  },
  {
    name: 'S3 without a bucket',
    values: { storage: { backend: 's3' } },
    sentence:
      'storage.s3.bucket: storage.backend is s3, and no bucket is named. Set storage.s3.bucket to one that exists.',
  },
  {
    name: 'half an access key',
    values: { storage: { backend: 's3', s3: { bucket: 'packages', accessKeyId: 'a' } } },
    sentence: 'storage.s3: an access key has two parts. Set both storage.s3.accessKeyId and storage.s3.secretAccessKey',
  },
  {
    name: 'Azure without a container',
    values: { storage: { backend: 'azure', azure: { account: 'a' } } },
    sentence:
      'storage.azure: storage.backend is azure. Set storage.azure.account, and storage.azure.container to one that exists.',
  },
  {
    name: 'Google Cloud without a bucket',
    values: { storage: { backend: 'gcs' } },
    sentence:
      'storage.gcs.bucket: storage.backend is gcs, and no bucket is named. Set storage.gcs.bucket to one that exists.',
  },
  {
    name: 'PostgreSQL without a host',
    values: { metadata: { backend: 'postgresql' } },
    sentence:
      'metadata.postgresql.host: metadata.backend is postgresql, and no server is named. Set metadata.postgresql.host, or metadata.postgresql.existingSecret and metadata.postgresql.urlKey.',
  },
  {
    name: 'the key of a URL without its secret',
    values: { metadata: { backend: 'postgresql', postgresql: { urlKey: 'url' } } },
    sentence: 'metadata.postgresql.urlKey: the URL is in a secret. Set metadata.postgresql.existingSecret to its name.',
  },
  {
    name: 'Redis without a host',
    values: { redis: { enabled: true } },
    sentence: 'redis.host: redis.enabled is true, and no server is named. Set redis.host.',
  },
  {
    name: 'a spool that is larger than its volume',
    values: { storage: BUCKET, workVolume: { size: '25Gi' } },
    sentence:
      'workVolume.size: 25Gi: the spool and the copies of blobs may take 30Gi, and a pod that takes more than its volume is ended.',
  },
  {
    name: 'a backend past the checks',
    values: { config: { storage: { backend: 's3', bucket: 'packages' } } },
    sentence:
      'config.storage.backend: the chart makes volumes and ports from its own values. Set storage.backend instead.',
  },
  {
    name: 'a database past the checks, by a variable',
    values: { env: [{ name: 'ENTREPOT_METADATA_PATH', value: '/tmp/entrepot.db' }] },
    sentence: 'env: ENTREPOT_METADATA_PATH would stand above the configuration. Set metadata.sqlite instead.',
  },
  {
    name: 'more servers at least than at most',
    values: { storage: BUCKET, metadata: POSTGRESQL, autoscaling: { enabled: true, minReplicas: 7 } },
    sentence: 'autoscaling.minReplicas: 7: more than autoscaling.maxReplicas (6). Set it to that or less.',
  },
  {
    name: 'autoscaling that aims at nothing',
    values: {
      storage: BUCKET,
      metadata: POSTGRESQL,
      autoscaling: { enabled: true, targetCPUUtilizationPercentage: 0 },
    },
    sentence: 'autoscaling.enabled: nothing is aimed at. Set autoscaling.targetCPUUtilizationPercentage',
  },
  {
    name: 'an ingress without a host',
    values: { ingress: { enabled: true } },
    sentence: 'ingress.host: ingress.enabled is true, and no host is named. Set ingress.host or global.domain.',
  },
  {
    name: 'OSV without a database',
    values: { security: { enabled: true, scanners: { osv: { enabled: true } } } },
    sentence: 'security.scanners.osv.from: osv is enabled, and nothing says where its database comes from.',
  },
  {
    name: 'severities that nothing finds',
    values: { security: { enabled: true, blockOnSeverity: 'high' } },
    sentence: 'security.blockOnSeverity: nothing scans, so nothing would be refused. Enable one of security.scanners.',
  },
  {
    name: 'a user without a password',
    values: { auth: { users: { ann: { admin: true } } } },
    sentence:
      'auth.users.ann: a user has a password. Set passwordHash to what `entrepot password` prints, or existingSecret and key.',
  },
];

/** Values that a schema refuses. */
export const UNKNOWN = [
  { values: { ingres: { enabled: true } }, sentence: 'ingres' },
  { values: { storage: { filesystem: { accessMode: 'ReadOnlyMany' } } }, sentence: 'accessMode' },
  { values: { replicaCount: { server: 0 } }, sentence: 'replicaCount' },
  { values: { workVolume: { size: 'large' } }, sentence: 'workVolume' },
];

/** Values that are right, besides the examples: each store, and each way to keep it. */
export const VARIANTS = {
  'a bucket and SQLite': { storage: BUCKET },
  'a shared volume, and SQLite on one of its own': { storage: SHARED },
  'SQLite beside the blobs': { metadata: { sqlite: { persistence: { enabled: false } } } },
  'PostgreSQL with one server over its volume': { metadata: POSTGRESQL },
  'claims that exist': {
    storage: { filesystem: { existingClaim: 'blobs' } },
    metadata: { sqlite: { persistence: { existingClaim: 'database' } } },
  },
  'a folder of a node': {
    storage: { filesystem: { useHostPath: true } },
    server: { nodeSelector: { 'kubernetes.io/hostname': 'one' } },
  },
  Azure: {
    ...THREE,
    storage: { backend: 'azure', azure: { account: 'a', container: 'packages', existingSecret: 'azure' } },
    metadata: POSTGRESQL,
  },
  'Google Cloud': {
    ...THREE,
    storage: { backend: 'gcs', gcs: { bucket: 'packages', existingSecret: 'gcs' }, cache: { maxBytes: '0GiB' } },
    metadata: POSTGRESQL,
  },
  'no administration, no metrics token, a classless volume': {
    auth: { enabled: false },
    metrics: { requireToken: false },
    networkPolicy: { enabled: false },
    serviceAccount: { create: false },
    storage: { filesystem: { storageClass: '-' } },
  },
  'workers in each pod, and a user who is gone': {
    ...THREE,
    storage: BUCKET,
    metadata: POSTGRESQL,
    server: { workers: 'auto' },
    auth: { users: { ann: null, bob: { existingSecret: 'users', key: 'bob', may: 'write' } } },
  },
};
