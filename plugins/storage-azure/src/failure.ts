import { messageOf } from '@entrepot/core';
import { type Failure, systemCodeOf } from '@entrepot/core/blobs';
import type { AzureOptions } from './options.js';

/** Members of an error of the SDK. */
interface RestError {
  readonly name?: string;
  readonly code?: unknown;
  readonly statusCode?: unknown;
  readonly details?: { readonly errorCode?: unknown };
  readonly response?: { readonly headers?: { get(name: string): string | undefined } };
}

/** Reads the facts of an error of the SDK. */
export function failureOf(error: unknown): Failure {
  const { name = 'Error', code, statusCode, details, response } = Object(error) as RestError;
  const status = typeof statusCode === 'number' ? statusCode : undefined;
  // The answer to HEAD has no body: its code is a header.
  const named = [response?.headers?.get('x-ms-error-code'), details?.errorCode, code];
  const found = named.find((one): one is string => typeof one === 'string');
  return { code: (status === undefined ? systemCodeOf(error) : undefined) ?? found ?? name, status };
}

const CREDENTIALS = new Set([
  'AuthenticationFailed',
  'InvalidAuthenticationInfo',
  'NoAuthenticationInformation',
  'AuthenticationRequiredError',
  'CredentialUnavailableError',
  'AggregateAuthenticationError',
]);
const RIGHTS = new Set([
  'AuthorizationFailure',
  'AuthorizationPermissionMismatch',
  'AuthorizationProtocolMismatch',
  'AuthorizationResourceTypeMismatch',
  'AuthorizationServiceMismatch',
  'InsufficientAccountPermissions',
]);

/** Says why a container cannot be used, and what to set. */
export function explainFailure(
  error: unknown,
  { container, endpoint, account, accountKey, connectionString }: AzureOptions,
): string {
  const { code, status } = failureOf(error);
  const where =
    endpoint ?? (account === undefined ? 'the account of storage.connectionString' : `the account ${account}`);
  const [text = ''] = messageOf(error).split('\n', 1);
  const said = status === undefined ? text : `the server said ${status} ${code}`;
  if (code === 'ContainerNotFound' || code === 'ContainerBeingDeleted')
    return `there is no container ${container} in ${where}; create it, or set storage.container`;
  // To an unknown key some servers answer as to a missing right.
  const hasKey = accountKey !== undefined || connectionString !== undefined;
  if (CREDENTIALS.has(code) || status === 401 || (hasKey && status === 403))
    return `the credentials are not accepted; set storage.accountKey, storage.sasToken or storage.connectionString, or mend what the Azure tools of this machine use; a clock that is off by more than 15 minutes does the same (${said})`;
  if (RIGHTS.has(code) || status === 403)
    return `a permission is missing; give the identity the role Storage Blob Data Contributor, or the signature the rights to read, write, delete and list (${said})`;
  if (status === undefined && systemCodeOf(error) !== undefined)
    return `${where} cannot be reached (${said}); set storage.endpoint, or mend the network`;
  return said;
}
