import { asEntrepotError, EntrepotError } from '../../api/errors.js';
import type { OutcomeName } from '../../api/outcome.js';
import type { BoundResource } from '../request/resource.js';
import { Denial, phraseOf } from '../policy/denial.js';
import { mergeHeaders, withoutHeaders } from '../request/merge-headers.js';
import { cacheStatus, xCache } from './outcome.js';
import type { EngineReply, EngineRequest } from '../request/request.js';
import type { RepositoryDefinition } from '../store/repository.js';
import { sandboxFor } from './sandbox.js';

const CHALLENGE = new Set(['www-authenticate']);

/** The reply for `error`, printed in the shape that the protocol's clients show. */
export function errorReply(
  definition: RepositoryDefinition,
  request: EngineRequest,
  resource: BoundResource | undefined,
  error: unknown,
): EngineReply {
  const failure = asEntrepotError(error, 'plugin', `The request failed in plugin ${definition.plugin.id}`);
  const exposed = failure.expose ? failure : hidden(failure);
  const shown = Denial.in(failure)?.shownAt(request.baseUrl) ?? exposed;
  const rendered = definition.protocol.renderError(shown, resource) ?? {
    mediaType: 'text/plain; charset=utf-8',
    body: `${shown.message}\n`,
  };
  const name: OutcomeName = failure.kind === 'policy-denied' ? 'denied' : 'failed';
  const body = Buffer.from(rendered.body);
  const status = rendered.status ?? failure.status;
  return {
    status,
    // A document that policy has emptied has no phrase of its own: its message says why.
    statusMessage: shown.reasonPhrase ?? (shown.kind === 'policy-denied' ? phraseOf(shown.message) : undefined),
    headers: mergeHeaders(
      {
        'Content-Type': rendered.mediaType,
        'Content-Length': String(body.length),
        'Cache-Control': 'no-store',
        'X-Content-Type-Options': 'nosniff',
        ...sandboxFor(rendered.mediaType),
        'X-Cache': xCache(name),
        'Cache-Status': cacheStatus({ name, detail: failure.code }),
        ...(failure.retryAfter !== undefined && { 'Retry-After': String(failure.retryAfter) }),
      },
      rendered.headers,
      // A challenge belongs to a 401 alone (RFC 9110 §11.6.1): some protocols tell it as something else.
      status === 401 ? failure.headers : withoutHeaders(failure.headers, CHALLENGE),
    ),
    body: request.method === 'HEAD' ? undefined : body,
    outcome: {
      name,
      repository: definition.name,
      resource: labelOf(resource),
      coordinates: resource?.kind === 'artifact' || resource?.kind === 'document' ? resource.coordinates : undefined,
      code: failure.code,
      detail: failure.message,
    },
  };
}

/** The name of `resource` in metrics and logs. */
function labelOf(resource: BoundResource | undefined): string {
  if (resource === undefined) return 'none';
  if (resource.kind === 'local') return 'local';
  return resource.kind === 'passthrough' ? resource.name : resource.class;
}

/** Messages about our own failures, by status: they say what clients and operators can do. */
const TOLD: Readonly<Record<number, string>> = {
  503: 'Entrepot cannot reach what it stores now: try again in a few seconds',
  507: 'Entrepot has no room to store this, and stored nothing: tell its operator',
};

/** Hides our own failures: their details are for the operator, not for the client. */
function hidden(failure: EntrepotError): EntrepotError {
  const message = TOLD[failure.status] ?? 'Entrepot could not answer this request';
  return new EntrepotError(failure.kind, `${message}; its log says why`, {
    code: failure.code,
    status: failure.status,
  });
}
