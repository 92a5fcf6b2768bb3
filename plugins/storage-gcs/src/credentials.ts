import { readFile } from 'node:fs/promises';
import { EntrepotError, messageOf } from '@entrepot/core';
import type { GoogleAuth } from 'google-auth-library';

/** The right to read, write, delete and list objects. */
const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_write';

/**
 * Reads the key of a service account.
 * @throws EntrepotError `configuration` for a file that is none
 */
export async function serviceAccount(keyFile: string): Promise<GoogleAuth> {
  const { GoogleAuth, JWT } = await import('google-auth-library');
  const wanted = `storage.keyFile: expected the key of a service account in ${keyFile}`;
  let key: { readonly client_email?: unknown; readonly private_key?: unknown };
  try {
    key = JSON.parse(await readFile(keyFile, 'utf8')) as typeof key;
  } catch (error) {
    // What stands in the file is a secret, and a parser quotes it.
    const reason = error instanceof SyntaxError ? 'something that is no JSON' : messageOf(error);
    throw new EntrepotError('configuration', `${wanted}, found ${reason}`);
  }
  const { client_email: email, private_key: secret } = Object(key) as typeof key;
  if (typeof email === 'string' && typeof secret === 'string') {
    const authClient = new JWT({ email, key: secret, scopes: [SCOPE] });
    const auth = new GoogleAuth({ authClient });
    // Who signs URLs asks for the name there, and else the machine's server of metadata.
    auth.jsonContent = { client_email: email, private_key: secret };
    return auth;
  }
  throw new EntrepotError(
    'configuration',
    `${wanted}, found something else; other credentials are named by the variable GOOGLE_APPLICATION_CREDENTIALS`,
  );
}
