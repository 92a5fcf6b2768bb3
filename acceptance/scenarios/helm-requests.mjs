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

export const USER = { name: 'curator', password: 'curator-secret' };
/** Environment variables for the configurations of the script. */
export const ENVIRONMENT = { CURATOR_PASSWORD: USER.password };
export const SERVICE = 'charts.example.test';
export const REALM = 'https://tokens.example.test/oauth/token';
/** Keys of one run: what they sign is not recorded. */
const KEYS = generateKeyPairSync('rsa', { modulusLength: 2048 });
const OTHER_KEYS = generateKeyPairSync('rsa', { modulusLength: 2048 });
/** The key that verifies tokens, as PEM. */
export const TOKEN_KEY = KEYS.publicKey.export({ type: 'spki', format: 'pem' }).toString();

const MYCHART = { name: 'mychart', version: '0.1.0' };
export const first = chartArchive(MYCHART);
export const again = chartArchive({ ...MYCHART, description: 'the same version, made anew' });
export const newer = chartArchive({ name: 'mychart', version: '0.2.0', more: { 'README.md': 'read me\n' } });
export const candidate = chartArchive({ name: 'mychart', version: '1.0.0-rc.1' });
const built = chartArchive({ name: 'mychart', version: '0.1.0+build.7' });
export const dashed = chartArchive({ name: 'my-chart-2', version: '1.0.0-12' });
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

export const proof = provenance('mychart', '0.1.0', first);

/** @param {string} [method] @param {string} [path] @param {Partial<ScriptRequest>} [more] @returns {ScriptRequest} */
export function ask(method = 'GET', path = '/', more = {}) {
  return { name: more.name ?? `${method} ${path}`, method, path, ...more };
}

/** @param {string} path @param {string | Buffer} body @param {string} name @param {Partial<ScriptRequest>} [more] */
export function post(path, body, name, more = {}) {
  return ask('POST', path, { name, body, headers: { 'content-type': 'application/octet-stream' }, ...more });
}

/**
 * Requests that read a repository with `mychart` 0.1.0 in it, below a tenant.
 * @param {string} tenant empty, or with a leading slash
 */
export function reads(tenant) {
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
export const OWN_TEMPLATES = { reason: 'where clients download says nothing of where an archive is read', status: 200 };
export const JSON_ERROR = {
  reason: 'an error has the form of every other error',
  headers: { 'content-type': 'application/json' },
};
const NO_PATH = { reason: 'a message shows no path of the server' };
export const NOT_WELCOME = { reason: 'what is no tenant is not found, instead of a page of welcome', status: 404 };
const WRONG_METHOD = { reason: 'the method is what is wrong', status: 405 };
const BOTH_CHARTS = { reason: 'of two charts of a form, both are in the index' };
export const NEVER_MADE = {
  reason: 'an index of nothing says no time: a time of a start would be another one on every replica',
  body: { apiVersion: 'v1', entries: {}, serverInfo: {} },
};
const BETTER_STATUS = { reason: 'a wrong request is the fault of the client, not of the server' };

/** @type {ScriptRequest[]} */
export const EMPTY = [
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
export const UPLOADS = [
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
export const DESCRIPTIONS = [
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
export const DELETIONS = [
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
export function forms(chart, prov) {
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

export const basic = (/** @type {string} */ password) => ({
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

export const AUTHORIZED = [
  ask('GET', '/health', { name: 'health needs nobody' }),
  ask('GET', '/info', { name: 'info needs nobody', differs: { reason: 'our own version' } }),
];

/** @param {string} tenant @param {string} scope what a token names @returns {ScriptRequest[]} */
export function bearer(tenant, scope) {
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
