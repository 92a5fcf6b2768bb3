import { EntrepotError, type RenderedError, type Resource } from '@entrepot/core';
import { ChartError } from './chart-error.js';

/** The codes of the distribution specification for absent resources below `/v2`, by class. */
const IMAGE_CODES: Readonly<Record<string, string>> = {
  manifest: 'MANIFEST_UNKNOWN',
  tag: 'MANIFEST_UNKNOWN',
  blob: 'BLOB_UNKNOWN',
  tags: 'NAME_UNKNOWN',
};

const FILES: ReadonlySet<string> = new Set(['chart', 'provenance']);

const IMAGE_KINDS: Readonly<Record<string, string>> = { unauthorized: 'UNAUTHORIZED', forbidden: 'DENIED' };

/** Prints an error as ChartMuseum does, in its words where clients may look for them; below `/v2` as registries do. */
export function renderError(error: EntrepotError, resource?: Resource): RenderedError {
  const absence = IMAGE_CODES[resource?.class ?? ''];
  if (absence !== undefined) {
    const code = error.kind === 'not-found' ? absence : (IMAGE_KINDS[error.kind] ?? 'UNKNOWN');
    return rendered({ errors: [{ code, message: error.message }] });
  }
  return rendered({ error: messageOf(error, resource) });
}

/** Turns a fault of a chart into that of an upload. */
export function refused(error: unknown): unknown {
  return error instanceof ChartError
    ? new EntrepotError('bad-request', error.message, { code: 'CHART_INVALID' })
    : error;
}

function messageOf({ kind, code, message }: EntrepotError, resource: Resource | undefined): string {
  if (kind === 'unauthorized') return 'unauthorized';
  if (code === 'NO_ROUTE') return 'not found';
  if (kind === 'not-found' && FILES.has(resource?.class ?? '')) return 'object not found';
  return message;
}

function rendered(body: unknown): RenderedError {
  return { mediaType: 'application/json', body: JSON.stringify(body) };
}
