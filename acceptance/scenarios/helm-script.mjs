import { chartArchive } from '@entrepot/fixtures/helm-charts';
import { form } from '@entrepot/fixtures/multipart-form';
import {
  again,
  ask,
  AUTHORIZED,
  basic,
  bearer,
  candidate,
  dashed,
  DELETIONS,
  DESCRIPTIONS,
  EMPTY,
  first,
  forms,
  JSON_ERROR,
  NEVER_MADE,
  newer,
  NOT_WELCOME,
  OWN_TEMPLATES,
  post,
  proof,
  reads,
  REALM,
  SERVICE,
  UPLOADS,
  USER,
} from './helm-requests.mjs';

/** @import { ScriptRequest } from './helm-requests.mjs' */

/**
 * One set-up of a server, and what is asked of it, in order.
 * @typedef {object} ScriptProfile
 * @property {string} name
 * @property {readonly string[]} flags of `chartmuseum`
 * @property {Record<string, unknown>} configuration of the repository
 * @property {readonly ScriptRequest[]} requests
 */

const OPEN = { access: { anonymous: 'write' } };
const USERS = { users: { [USER.name]: { password: '${env:CURATOR_PASSWORD}', may: 'write' } } };
const ASKING = { tokenRealm: REALM, tokenService: SERVICE };
const JWT = { keyFile: 'KEY', issuer: 'https://tokens.example.test', audience: SERVICE };

/** @type {readonly ScriptProfile[]} */
export const PROFILES = [
  {
    name: 'plain',
    flags: [],
    configuration: OPEN,
    requests: [
      ...EMPTY,
      ...UPLOADS,
      ...DESCRIPTIONS.map((request) => ({ ...request, name: `filled: ${request.name}` })),
      ...DELETIONS,
    ],
  },
  { name: 'forms', flags: [], configuration: OPEN, requests: forms('chart', 'prov') },
  {
    name: 'fields',
    flags: ['--chart-post-form-field-name=package', '--prov-post-form-field-name=signature'],
    configuration: { ...OPEN, chartField: 'package', provField: 'signature' },
    requests: forms('package', 'signature'),
  },
  {
    name: 'depth-1',
    flags: ['--depth=1'],
    configuration: { ...OPEN, depth: 1 },
    requests: [
      post('/api/org1/charts', first, 'push to a tenant'),
      post('/api/org1/charts', first, 'push to a tenant again'),
      post('/api/org2/charts', newer, 'push to another tenant'),
      post('/api/org1/prov', proof, 'push a provenance to a tenant'),
      ...reads('/org1'),
      ask('GET', '/org1/charts/mychart-0.1.0.tgz.prov'),
      ask('GET', '/org2/index.yaml'),
      ask('GET', '/org2/charts/mychart-0.1.0.tgz'),
      ask('GET', '/unknown/index.yaml', { differs: NEVER_MADE }),
      ask('GET', '/index.yaml', { differs: NOT_WELCOME }),
      ask('GET', '/api/charts'),
      post('/api/charts', first, 'push to no tenant'),
      ask('GET', '/org1/org2/index.yaml'),
      post('/api/charts/charts', first, 'push to a tenant named charts'),
      ask('GET', '/charts/index.yaml'),
      post('/api/api/charts', first, 'push to a tenant named api'),
      ask('GET', '/api/index.yaml'),
      post('/api/health/charts', first, 'push to a tenant named health'),
      ask('GET', '/health/index.yaml'),
      ask('GET', '/health'),
      ask('DELETE', '/api/org1/charts/mychart/0.1.0'),
      ask('GET', '/org1/index.yaml', { name: 'the tenant without it' }),
    ],
  },
  {
    name: 'depth-2',
    flags: ['--depth=2'],
    configuration: { ...OPEN, depth: 2 },
    requests: [
      post('/api/org1/team1/charts', first, 'push to a team'),
      post('/api/org1/team2/charts', newer, 'push to another team'),
      ...reads('/org1/team1'),
      ask('GET', '/org1/team2/index.yaml'),
      ask('GET', '/org1/index.yaml', { differs: NOT_WELCOME }),
      ask('GET', '/org1/team1/more/index.yaml'),
      post('/api/org1/charts', first, 'push to an organisation'),
      ask('DELETE', '/api/org1/team1/charts/mychart/0.1.0'),
    ],
  },
  {
    name: 'depth-3',
    flags: ['--depth=3'],
    configuration: { ...OPEN, depth: 3 },
    requests: [post('/api/a/b/c/charts', first, 'push three levels down'), ...reads('/a/b/c')],
  },
  {
    name: 'depth-dynamic',
    flags: ['--depth-dynamic'],
    configuration: { ...OPEN, depth: 'dynamic' },
    requests: [
      post('/api/charts', first, 'push to the root'),
      post('/api/org1/charts', newer, 'push one level down'),
      post('/api/org1/team1/charts', candidate, 'push two levels down'),
      ask('GET', '/index.yaml'),
      ask('GET', '/org1/index.yaml'),
      ask('GET', '/org1/team1/index.yaml'),
      ask('GET', '/api/org1/charts'),
      ask('GET', '/api/org1/team1/charts/mychart'),
      ask('GET', '/org1/charts/mychart-0.2.0.tgz'),
      ask('GET', '/nobody/index.yaml', { differs: NEVER_MADE }),
    ],
  },
  {
    name: 'overwrite',
    flags: ['--allow-overwrite'],
    configuration: { ...OPEN, allowOverwrite: true },
    requests: [
      post('/api/charts', first, 'push'),
      post('/api/charts', again, 'push over it'),
      ask('GET', '/charts/mychart-0.1.0.tgz'),
      post('/api/prov', proof, 'push a provenance'),
      post('/api/prov', proof, 'push a provenance over it'),
      ask('POST', '/api/charts', {
        name: 'push over it by a form',
        ...form({ field: 'chart', file: 'a.tgz', body: first }),
      }),
    ],
  },
  {
    name: 'no-force',
    flags: ['--disable-force-overwrite'],
    configuration: { ...OPEN, forceOverwrite: false },
    requests: [
      post('/api/charts', first, 'push'),
      post('/api/charts?force', again, 'push with force'),
      post('/api/prov', proof, 'push a provenance'),
      post('/api/prov?force', proof, 'push a provenance with force'),
    ],
  },
  {
    name: 'no-api',
    flags: ['--disable-api'],
    configuration: { ...OPEN, api: false },
    requests: [
      post('/api/charts', first, 'push'),
      ask('GET', '/api/charts'),
      ask('GET', '/api/charts/mychart'),
      ask('DELETE', '/api/charts/mychart/0.1.0'),
      ask('GET', '/index.yaml', { differs: NEVER_MADE }),
    ],
  },
  {
    name: 'no-delete',
    flags: ['--disable-delete'],
    configuration: { ...OPEN, deletes: false },
    requests: [post('/api/charts', first, 'push'), ask('DELETE', '/api/charts/mychart/0.1.0')],
  },
  {
    name: 'objects',
    // Its own cache of the index would be an object as well.
    flags: ['--max-storage-objects=2', '--disable-statefiles'],
    configuration: { ...OPEN, maxObjects: 2 },
    requests: [
      post('/api/charts', first, 'push the first'),
      post('/api/prov', proof, 'push the second'),
      post('/api/charts', newer, 'push the third'),
      post('/api/charts?force', again, 'push over the first'),
      ask('POST', '/api/charts', {
        name: 'push a form',
        ...form({ field: 'chart', file: 'a.tgz', body: newer }),
        differs: { reason: 'a limit holds for every way to push', status: 507 },
      }),
    ],
  },
  {
    name: 'size',
    flags: ['--max-upload-size=2000'],
    configuration: { ...OPEN, maxUploadSize: 2000 },
    requests: [
      post('/api/charts', first, 'push a small one'),
      post('/api/charts', Buffer.alloc(2001, 1), 'push one byte too many', { differs: JSON_ERROR }),
      ask('POST', '/api/charts', {
        name: 'push a form that is too large',
        ...form({ field: 'chart', file: 'a.tgz', body: Buffer.alloc(2001, 1) }),
        differs: JSON_ERROR,
      }),
      post('/api/prov', Buffer.alloc(2001, 1), 'push a provenance that is too large', { differs: JSON_ERROR }),
    ],
  },
  {
    name: 'per-chart',
    flags: ['--per-chart-limit=2'],
    configuration: { ...OPEN, perChartLimit: 2 },
    requests: [
      post('/api/charts', first, 'push the first'),
      post('/api/charts', newer, 'push the second'),
      post('/api/charts', dashed, 'push another chart'),
      post('/api/charts', chartArchive({ name: 'mychart', version: '0.3.0' }), 'push the third'),
      ask('GET', '/index.yaml', {
        name: 'the index of what is left',
        isUnsteady: true,
        differs: { reason: 'the index is right at once, not some time after the answer' },
      }),
      ask('GET', '/api/charts/mychart/0.3.0', { name: 'what is left' }),
      ask('GET', '/charts/mychart-0.1.0.tgz', { name: 'what went' }),
    ],
  },
  {
    name: 'chart-url',
    flags: ['--chart-url=https://cdn.example.test/charts-of-ours'],
    configuration: { ...OPEN, chartUrl: 'https://cdn.example.test/charts-of-ours' },
    requests: [
      post('/api/charts', first, 'push'),
      ask('GET', '/index.yaml'),
      ask('GET', '/api/charts/mychart/0.1.0'),
      ask('GET', '/api/charts/mychart/0.1.0/values', { differs: OWN_TEMPLATES }),
      ask('GET', '/api/charts/mychart/0.1.0/templates', { differs: OWN_TEMPLATES }),
    ],
  },
  {
    name: 'artifact-hub',
    flags: ['--artifact-hub-repo-id=1b2c3d4e-0000-4000-8000-000000000001'],
    configuration: { ...OPEN, artifactHub: '1b2c3d4e-0000-4000-8000-000000000001' },
    requests: [ask('GET', '/artifacthub-repo.yml')],
  },
  {
    name: 'cors',
    flags: ['--cors-alloworigin=https://ui.example.test'],
    configuration: { ...OPEN, corsAllowOrigin: 'https://ui.example.test' },
    requests: [
      ask('GET', '/api/charts', { headers: { origin: 'https://ui.example.test' } }),
      ask('GET', '/index.yaml', { headers: { origin: 'https://ui.example.test' }, differs: NEVER_MADE }),
    ],
  },
  {
    name: 'basic',
    flags: [`--basic-auth-user=${USER.name}`, `--basic-auth-pass=${USER.password}`],
    configuration: { access: { anonymous: 'none', ...USERS } },
    requests: [
      ...AUTHORIZED,
      ask('GET', '/', { name: 'welcome as nobody' }),
      ask('GET', '/index.yaml', { name: 'read as nobody' }),
      ask('GET', '/index.yaml', { name: 'read with a wrong password', headers: basic('wrong') }),
      post('/api/charts', first, 'push as nobody'),
      post('/api/charts', first, 'push with the password', { headers: basic(USER.password) }),
      ask('GET', '/index.yaml', { name: 'read with the password', headers: basic(USER.password) }),
      ask('GET', '/charts/mychart-0.1.0.tgz', { name: 'download as nobody' }),
      ask('GET', '/api/charts', { name: 'list as nobody' }),
      ask('DELETE', '/api/charts/mychart/0.1.0', { name: 'delete as nobody' }),
      ask('DELETE', '/api/charts/mychart/0.1.0', { name: 'delete with the password', headers: basic(USER.password) }),
      ask('GET', '/nothing', { name: 'nothing as nobody' }),
    ],
  },
  {
    name: 'basic-anonymous-get',
    flags: [`--basic-auth-user=${USER.name}`, `--basic-auth-pass=${USER.password}`, '--auth-anonymous-get'],
    configuration: { access: { anonymous: 'read', ...USERS } },
    requests: [
      ask('GET', '/index.yaml', { name: 'read as nobody', differs: NEVER_MADE }),
      ask('HEAD', '/index.yaml', { name: 'look as nobody' }),
      ask('GET', '/api/charts', { name: 'list as nobody' }),
      post('/api/charts', first, 'push as nobody'),
      post('/api/charts', first, 'push with the password', { headers: basic(USER.password) }),
      ask('DELETE', '/api/charts/mychart/0.1.0', { name: 'delete as nobody' }),
    ],
  },
  {
    name: 'bearer',
    flags: ['--bearer-auth', `--auth-realm=${REALM}`, `--auth-service=${SERVICE}`, '--auth-cert-path=KEY'],
    configuration: { ...ASKING, access: { anonymous: 'none', jwt: JWT } },
    requests: bearer('', 'repo'),
  },
  {
    name: 'bearer-depth-2',
    flags: ['--depth=2', '--bearer-auth', `--auth-realm=${REALM}`, `--auth-service=${SERVICE}`, '--auth-cert-path=KEY'],
    configuration: { depth: 2, ...ASKING, access: { anonymous: 'none', jwt: JWT } },
    requests: bearer('/org1/team1', 'org1/team1'),
  },
];
