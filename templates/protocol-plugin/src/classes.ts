import { artifactClass, documentClass } from '@entrepot/core';
import { parseReleaseIndex, renderReleaseIndex, type ParsedIndex } from './release-index.js';
import { indexOf } from './routes.js';

/** The index of a project: rewritten so that its files are found here, without the versions that policy refuses. */
export const index = documentClass<unknown, ParsedIndex>({
  about: 'Release indexes.',
  cache: { freshFor: 60_000 },
  // Anything else is a login page or an error page, and not an index.
  upstream: { accept: 'application/json', expects: ['application/json'] },
  reply: { mediaType: 'application/json', render: renderReleaseIndex },
  parse: parseReleaseIndex,
});

/** A file of a release, checked against the sum in the index of its project. */
export const release = artifactClass({
  about: 'Files of releases.',
  reply: { cacheControl: 'public, max-age=31536000, immutable' },
  trust: { describedBy: ({ coordinates }) => coordinates && indexOf(coordinates.name) },
});
