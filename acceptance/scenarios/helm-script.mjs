import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { chartArchive } from '@entrepot/fixtures/helm-charts';
import { form } from '@entrepot/fixtures/multipart-form';

/**
 * One request of the script. What is sent may be said in short: `chart` is a raw archive, `form` a multipart form.
 * @typedef {object} ScriptRequest
 * @property {string} name unique within its profile
 * @property {string} method
 * @property {string} path below the base of the repository, with its query
 * @property {Record<string, string>} [headers]
 * @property {string | Buffer} [body]
 * @property {Difference} [differs] where Entrepot answers otherwise on purpose
 * @property {boolean} [isUnsteady] whether ChartMuseum itself answers now so, now otherwise
 */

/**
 * @typedef {object} Difference
 * @property {string} reason
 * @property {number} [status]
 * @property {Record<string, string>} [headers] of those that are compared
 * @property {unknown} [body] absent: the body is not compared
 * @property {boolean} [sameBody] the body is compared all the same
 */

/**
 * One set-up of a server, and what is asked of it, in order.
 * @typedef {object} ScriptProfile
 * @property {string} name
 * @property {readonly string[]} flags of `chartmuseum`
 * @property {Record<string, unknown>} configuration of the repository
 * @property {readonly ScriptRequest[]} requests
 */

const USER = { name: 'curator', password: 'curator-secret' };
/** What the configurations of the script need in the environment. */
export const ENVIRONMENT = { CURATOR_PASSWORD: USER.password };
export const SERVICE = 'charts.example.test';
export const REALM = 'https://tokens.example.test/oauth/token';
/** Keys of one run: what they sign is not recorded. */
const KEYS = generateKeyPairSync('rsa', { modulusLength: 2048 });
const OTHER_KEYS = generateKeyPairSync('rsa', { modulusLength: 2048 });
/** What tokens are verified with, as PEM. */
export const TOKEN_KEY = KEYS.publicKey.export({ type: 'spki', format: 'pem' }).toString();

const MYCHART = { name: 'mychart', version: '0.1.0' };
const first = chartArchive(MYCHART);
const again = chartArchive({ ...MYCHART, description: 'the same version, made anew' });
const newer = chartArchive({ name: 'mychart', version: '0.2.0', more: { 'README.md': 'read me\n' } });
const candidate = chartArchive({ name: 'mychart', version: '1.0.0-rc.1' });
const built = chartArchive({ name: 'mychart', version: '0.1.0+build.7' });
const dashed = chartArchive({ name: 'my-chart-2', version: '1.0.0-12' });
const withoutValues = chartArchive({ name: 'plain', version: '3.0.0', more: { 'values.yaml': '' } });

/** A provenance file in form only: no server looks at the signature. @param {string} name @param {string} version @param {Buffer} archive */
function provenance(name, version, archive) {
  const sum = createHash('sha256').update(archive).digest('hex');
  return [
    '-----BEGIN PGP SIGNED MESSAGE-----',
    'Hash: SHA512',
    '',
    'apiVersion: v2',
    'description: A chart to test with',
    `name: ${name}`,
    `version: ${version}`,
    '',
    '...',
    'files:',
    `  ${name}-${version}.tgz: sha256:${sum}`,
    '-----BEGIN PGP SIGNATURE-----',
    '',
    'wsBcBAEBCgAQBQJcon2ACRCEO7+YH8GHYgAAfhUIADx3pHHLLINv0MFkiEYpX/Kd',
    '=nxO3',
    '-----END PGP SIGNATURE-----',
    '',
  ].join('\n');
}

const proof = provenance('mychart', '0.1.0', first);

/** @param {string} [method] @param {string} [path] @param {Partial<ScriptRequest>} [more] @returns {ScriptRequest} */
function ask(method = 'GET', path = '/', more = {}) {
  return { name: more.name ?? `${method} ${path}`, method, path, ...more };
}

/** @param {string} path @param {string | Buffer} body @param {string} name @param {Partial<ScriptRequest>} [more] */
function post(path, body, name, more = {}) {
  return ask('POST', path, { name, body, headers: { 'content-type': 'application/octet-stream' }, ...more });
}

/** What reads a repository with `mychart` 0.1.0 in it, below a tenant. @param {string} tenant empty, or with a leading slash */
function reads(tenant) {
  return [
    ask('GET', `${tenant}/index.yaml`),
    ask('GET', `${tenant}/charts/mychart-0.1.0.tgz`),
    ask('GET', `/api${tenant}/charts`),
    ask('GET', `/api${tenant}/charts/mychart`),
    ask('GET', `/api${tenant}/charts/mychart/0.1.0`),
    ask('GET', `/api${tenant}/charts/mychart/0.1.0/values`),
  ];
}

const BETTER_HEAD = { reason: 'HEAD is answered as GET is, without the body (RFC 9110, section 9.3.2)' };
const PLAIN_MESSAGE = {
  reason: 'the message says what was expected, instead of what a library of the server said',
};
const OWN_TEMPLATES = { reason: 'where clients download says nothing of where an archive is read', status: 200 };
const JSON_ERROR = {
  reason: 'an error has the form of every other error',
  headers: { 'content-type': 'application/json' },
};
const NO_PATH = { reason: 'a message shows no path of the server' };
const NOT_WELCOME = { reason: 'what is no tenant is not found, instead of a page of welcome', status: 404 };
const WRONG_METHOD = { reason: 'the method is what is wrong', status: 405 };
const BOTH_CHARTS = { reason: 'of two charts of a form, both are in the index' };
const NEVER_MADE = {
  reason: 'an index of nothing says no time: a time of a start would be another one on every replica',
  body: { apiVersion: 'v1', entries: {}, serverInfo: {} },
};
const BETTER_STATUS = { reason: 'a wrong request is the fault of the client, not of the server' };

/** @type {ScriptRequest[]} */
const EMPTY = [
  ask('GET', '/', { differs: { reason: 'a welcome page of our own' } }),
  ask('GET', '/health'),
  ask('GET', '/info', { differs: { reason: 'our own version' } }),
  ask('GET', '/index.yaml', { differs: NEVER_MADE }),
  ask('HEAD', '/index.yaml'),
  ask('GET', '/api/charts'),
  ask('GET', '/api/charts/mychart'),
  ask('GET', '/api/charts/mychart/0.1.0'),
  ask('GET', '/charts/mychart-0.1.0.tgz'),
  ask('GET', '/charts/mychart-0.1.0.tgz.prov'),
  ask('GET', '/charts/mychart-0.1.0.txt', { differs: { ...BETTER_STATUS, status: 404 } }),
  ask('GET', '/artifacthub-repo.yml'),
  ask('GET', '/nothing'),
  ask('GET', '/api/nothing'),
  ask('GET', '/tenant/index.yaml'),
  ask('PUT', '/api/charts', { body: first, differs: WRONG_METHOD }),
  ask('POST', '/index.yaml', { body: '', differs: WRONG_METHOD }),
];

/** @type {ScriptRequest[]} */
const UPLOADS = [
  post('/api/charts', first, 'push'),
  post('/api/charts', first, 'push the same again'),
  post('/api/charts', again, 'push other bytes'),
  post('/api/charts?force', again, 'push other bytes with force'),
  ask('GET', '/charts/mychart-0.1.0.tgz', { name: 'the other bytes' }),
  post('/api/charts?force=false', first, 'push with force=false: the key alone counts'),
  ask('GET', '/charts/mychart-0.1.0.tgz', { name: 'the first bytes' }),
  post('/api/charts', newer, 'push a newer version'),
  post('/api/charts', candidate, 'push a pre-release'),
  post('/api/charts', built, 'push a version with build metadata'),
  post('/api/charts', dashed, 'push a name and a version with dashes'),
  post('/api/charts', withoutValues, 'push a chart with empty values'),
  post('/api/charts', 'no archive', 'push what is no archive', { differs: PLAIN_MESSAGE }),
  post('/api/charts', '', 'push nothing', { differs: PLAIN_MESSAGE }),
  post('/api/charts', first.subarray(0, 200), 'push a part of an archive', { differs: PLAIN_MESSAGE }),
  post('/api/prov', proof, 'push a provenance'),
  post('/api/prov', proof, 'push the same provenance again'),
  post('/api/prov?force', proof, 'push the same provenance with force'),
  post('/api/prov', 'no provenance', 'push what is no provenance', { differs: { ...BETTER_STATUS, status: 400 } }),
  ask('GET', '/index.yaml', { name: 'the index of it all' }),
  ask('GET', '/charts/mychart-0.1.0.tgz.prov', { name: 'the provenance' }),
  ask('HEAD', '/charts/mychart-0.1.0.tgz', { differs: { ...BETTER_HEAD, status: 200 } }),
  ask('HEAD', '/index.yaml', { name: 'HEAD of an index' }),
];

/** @type {ScriptRequest[]} */
const DESCRIPTIONS = [
  ask('GET', '/api/charts'),
  ask('GET', '/api/charts?offset=0&limit=1'),
  ask('GET', '/api/charts?offset=1&limit=1'),
  ask('GET', '/api/charts?offset=1&limit=100'),
  ask('GET', '/api/charts?offset=100&limit=1'),
  ask('GET', '/api/charts?limit=2'),
  ask('GET', '/api/charts?offset=1', { differs: { reason: 'an offset without a limit goes to the end', status: 200 } }),
  ask('GET', '/api/charts?offset=-1&limit=1'),
  ask('GET', '/api/charts?offset=x&limit=1'),
  ask('GET', '/api/charts?offset=0&limit=0'),
  ask('GET', '/api/charts?offset=0&limit=-1'),
  ask('GET', '/api/charts?offset=0&limit=x'),
  ask('GET', '/api/charts/mychart'),
  ask('HEAD', '/api/charts/mychart'),
  ask('HEAD', '/api/charts/none', { differs: { ...BETTER_HEAD, headers: {} } }),
  ask('GET', '/api/charts/none'),
  ask('GET', '/api/charts/mychart/0.1.0'),
  ask('GET', '/api/charts/mychart/latest'),
  ask('GET', '/api/charts/mychart/9.9.9'),
  ask('HEAD', '/api/charts/mychart/0.1.0'),
  ask('HEAD', '/api/charts/mychart/9.9.9', { differs: { ...BETTER_HEAD, headers: {} } }),
  ask('GET', '/api/charts/mychart/0.1.0+build.7', { name: 'a version with build metadata' }),
  ask('GET', '/api/charts/mychart/0.1.0%2Bbuild.7', { name: 'a version with escaped build metadata' }),
  ask('GET', '/api/charts/my-chart-2/1.0.0-12'),
  ask('GET', '/api/charts/mychart/0.1.0/templates'),
  ask('GET', '/api/charts/mychart/0.1.0/values'),
  ask('GET', '/api/charts/plain/3.0.0/values'),
  ask('GET', '/api/charts/none/0.1.0/templates'),
  ask('GET', '/api/charts/none/0.1.0/values'),
];

/** @type {ScriptRequest[]} */
const DELETIONS = [
  ask('DELETE', '/api/charts/mychart/9.9.9', { differs: NO_PATH }),
  ask('DELETE', '/api/charts/none/0.1.0', { differs: NO_PATH }),
  ask('DELETE', '/api/charts/mychart', { differs: WRONG_METHOD }),
  ask('DELETE', '/api/charts/mychart/0.1.0'),
  ask('DELETE', '/api/charts/mychart/0.1.0', { name: 'delete it once more', differs: NO_PATH }),
  ask('GET', '/charts/mychart-0.1.0.tgz', { name: 'the deleted archive' }),
  ask('GET', '/charts/mychart-0.1.0.tgz.prov', { name: 'the deleted provenance' }),
  ask('DELETE', '/api/charts/my-chart-2/1.0.0-12'),
  ask('GET', '/index.yaml', { name: 'the index without them' }),
  post('/api/charts', first, 'push what was deleted'),
];

/** @param {string} chart @param {string} prov @returns {ScriptRequest[]} */
function forms(chart, prov) {
  const archive = { field: chart, file: 'mychart-0.1.0.tgz', body: first };
  const proven = { field: prov, file: 'mychart-0.1.0.tgz.prov', body: proof };
  const send = (/** @type {string} */ name, /** @type {ReturnType<typeof form>} */ sent, query = '') =>
    ask('POST', `/api/charts${query}`, { name, ...sent });
  return [
    send('a form with a chart', form(archive)),
    send('a form with the same chart', form(archive)),
    send('a form with the same chart and force', form({ ...archive, body: again }), '?force'),
    send('a form with a provenance', form(proven)),
    send('a form with the same provenance', form(proven)),
    send('a form with both and force', form(archive, proven), '?force'),
    send('a form with the provenance first', form(proven, archive), '?force'),
    send('a form with both, of which one is there', form({ ...archive, body: newer }, proven)),
    send('a form with two charts', form({ ...archive, body: candidate }, { ...archive, body: dashed })),
    send('a form with no file name', form({ field: chart, body: withoutValues })),
    send('a form with a wrong field', form({ ...archive, field: 'other' })),
    send('a form with no part', form()),
    { ...send('a form with a bad chart', form({ ...archive, body: 'no archive' })), differs: PLAIN_MESSAGE },
    {
      ...send('a form with a bad provenance', form({ ...proven, body: 'no provenance' })),
      differs: PLAIN_MESSAGE,
    },
    {
      ...send(
        'a form with a good and a bad file',
        form({ ...archive, body: built }, { ...proven, body: 'no provenance' }),
      ),
      differs: PLAIN_MESSAGE,
    },
    ask('GET', '/index.yaml', { name: 'the index of the forms', differs: BOTH_CHARTS }),
    ask('GET', '/charts/mychart-0.1.0.tgz.prov', { name: 'the provenance of the form' }),
  ];
}

const basic = (/** @type {string} */ password) => ({
  authorization: `Basic ${Buffer.from(`${USER.name}:${password}`).toString('base64')}`,
});

/** @param {Record<string, unknown>} claims @param {{ header?: Record<string, unknown>, key?: import('node:crypto').KeyObject }} [options] */
function token(claims, { header = {}, key = KEYS.privateKey } = {}) {
  const now = Math.floor(Date.now() / 1000);
  const parts = [
    { typ: 'JWT', alg: 'RS256', ...header },
    { iat: now - 60, exp: now + 600, aud: SERVICE, iss: 'https://tokens.example.test', ...claims },
  ].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
  const signature =
    header.alg === 'none' ? '' : sign('sha256', Buffer.from(parts.join('.')), key).toString('base64url');
  return { authorization: `Bearer ${[...parts, signature].join('.')}` };
}

/** @param {string} name @param {...string} actions */
function allows(name, ...actions) {
  return { access: [{ type: 'artifact-repository', name, actions }] };
}

const AUTHORIZED = [
  ask('GET', '/health', { name: 'health needs nobody' }),
  ask('GET', '/info', { name: 'info needs nobody', differs: { reason: 'our own version' } }),
];

/** @param {string} tenant @param {string} scope what a token names @returns {ScriptRequest[]} */
function bearer(tenant, scope) {
  const index = `${tenant}/index.yaml`;
  const charts = `/api${tenant}/charts`;
  const FORBIDDEN = {
    status: 403,
    reason: 'a good token without the right is 403, so that a client does not ask for another one of the same',
  };
  const challenge = `Bearer realm="${REALM}",service="${SERVICE}",scope="artifact-repository:${scope}:pull"`;
  const REFUSED = {
    reason: 'a challenge says that the token is what was refused, and why (RFC 6750, section 3.1)',
    headers: {
      'content-type': 'application/json',
      'www-authenticate': `${challenge},error="invalid_token"`,
    },
    sameBody: true,
  };
  return [
    ...AUTHORIZED,
    ask('GET', index, { name: 'read as nobody' }),
    post(charts, first, 'push as nobody'),
    ask('DELETE', `${charts}/mychart/0.1.0`, { name: 'delete as nobody' }),
    post(charts, first, 'push with a token to pull', { headers: token(allows(scope, 'pull')), differs: FORBIDDEN }),
    post(charts, first, 'push with a token', { headers: token(allows(scope, 'pull', 'push')) }),
    ask('GET', index, { name: 'read with a token', headers: token(allows(scope, 'pull')) }),
    ask('GET', index, {
      name: 'read with a token of another tenant',
      headers: token(allows(`${scope}1`, 'pull')),
      differs: FORBIDDEN,
    }),
    ask('GET', index, {
      name: 'read with a token to push',
      headers: token(allows(scope, 'push')),
      differs: FORBIDDEN,
    }),
    ask('GET', index, {
      name: 'read with an expired token',
      headers: token({ ...allows(scope, 'pull'), exp: 1_600_000_000 }),
      differs: REFUSED,
    }),
    ask('GET', index, {
      name: 'read with a token of another key',
      headers: token(allows(scope, 'pull'), { key: OTHER_KEYS.privateKey }),
      differs: REFUSED,
    }),
    ask('GET', index, {
      name: 'read with a token without a signature',
      headers: token(allows(scope, 'pull'), { header: { alg: 'none' } }),
      differs: REFUSED,
    }),
    ask('GET', index, {
      name: 'read with a token for another service',
      headers: token({ ...allows(scope, 'pull'), aud: 'other.example.test' }),
      differs: { reason: 'the audience of a token is looked at', status: 401 },
    }),
    ask('GET', index, { name: 'read with no token at all', headers: { authorization: 'Bearer' } }),
    ask('GET', index, { name: 'read with a password', headers: basic(USER.password) }),
    ask('DELETE', `${charts}/mychart/0.1.0`, {
      name: 'delete with a token to pull',
      headers: token(allows(scope, 'pull')),
      differs: FORBIDDEN,
    }),
    ask('DELETE', `${charts}/mychart/0.1.0`, {
      name: 'delete with a token',
      headers: token(allows(scope, 'push')),
    }),
  ];
}

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
