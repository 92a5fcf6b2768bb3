import { fieldsOf, type Fields } from '@entrepot/core/formats';
import type { ConfigurationProblem } from './configuration-error.js';

const REFERENCE = /^\$\{(?:env|file):[^}]+\}$/;

/**
 * Passwords and keys of our own that the file holds as they are: a configuration is read by many, and kept in many places.
 * @param written the file, its references not filled in
 */
export function plainSecretProblems(written: Fields): ConfigurationProblem[] {
  const problems: ConfigurationProblem[] = [];
  look('server.tokenKey', fieldsOf(written['server'])['tokenKey'], 'expected ${env:NAME} or ${file:PATH}');
  look('admin.token', fieldsOf(written['admin'])['token'], 'expected ${env:NAME} or ${file:PATH}');
  look('cluster.secret', fieldsOf(written['cluster'])['secret'], 'expected ${env:NAME} or ${file:PATH}');
  for (const [section, keys] of [
    ['metadata', ['url', 'listenUrl']],
    ['cache', ['url']],
  ] as const) {
    const fields = fieldsOf(written[section]);
    look(`${section}.password`, fields['password'], 'expected ${env:NAME} or ${file:PATH}');
    for (const key of keys) {
      const url = fields[key];
      if (typeof url === 'string' && URL.canParse(url) && new URL(url).password !== '')
        look(`${section}.${key}`, url, 'expected ${env:NAME} or ${file:PATH}, for it has a password');
    }
  }
  const credentials = fieldsOf(fieldsOf(written['storage'])['credentials']);
  for (const key of ['secretAccessKey', 'sessionToken'])
    look(`storage.credentials.${key}`, credentials[key], 'expected ${env:NAME} or ${file:PATH}');
  for (const key of ['accountKey', 'connectionString', 'sasToken'])
    look(`storage.${key}`, fieldsOf(written['storage'])[key], 'expected ${env:NAME} or ${file:PATH}');
  for (const section of ['policy', 'audit']) {
    const { webhooks } = fieldsOf(written[section]);
    for (const [index, webhook] of (Array.isArray(webhooks) ? webhooks : []).entries())
      look(`${section}.webhooks.${index}.secret`, fieldsOf(webhook)['secret'], 'expected ${env:NAME} or ${file:PATH}');
  }
  lookAtUsers('admin.users', written['admin']);
  for (const [name, repository] of Object.entries(fieldsOf(written['repositories'])))
    lookAtUsers(`repositories.${name}.access.users`, fieldsOf(repository)['access']);
  return problems;

  function lookAtUsers(path: string, access: unknown): void {
    const expected = 'expected ${env:NAME} or ${file:PATH}, or a passwordHash instead (entrepot password makes one)';
    for (const [user, one] of Object.entries(fieldsOf(fieldsOf(access)['users'])))
      look(`${path}.${user}.password`, fieldsOf(one)['password'], expected);
  }

  function look(path: string, value: unknown, message: string): void {
    if (typeof value === 'string' && !REFERENCE.test(value)) problems.push({ path, message });
  }
}
