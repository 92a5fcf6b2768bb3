/** The upstream of the servers in the suite for Python: `/simple/` with pages in both forms, and files below `/packages/`. */
import { serveOrigin } from '../lib/origin-server.mjs';
import { JSON_PAGE, metadata, pages, projectLists, wheel, wheelNames } from './fixtures.mjs';

const HTML_PAGE = 'text/html; charset=utf-8';
const METADATA = '.metadata';
const made = new Map();

function remember(key, create) {
  let found = made.get(key);
  if (!found) made.set(key, (found = create()));
  return found;
}

function forms({ json, html }) {
  return {
    json: { bytes: json, mediaType: JSON_PAGE, compressed: true },
    html: { bytes: html, mediaType: HTML_PAGE, compressed: true },
  };
}

function answer(path, { headers }, origin) {
  const [, mount, project, filename] = path.split('/');
  const form = headers.accept?.includes(JSON_PAGE) ? 'json' : 'html';
  if (path === '/simple/') return remember(path, () => forms(projectLists()))[form];
  const names = wheelNames(project ?? '');
  if (!names) return undefined;
  if (mount === 'simple') return remember(path, () => forms(pages(project, `${origin}/packages/${project}`)))[form];
  if (mount !== 'packages') return undefined;
  const isMetadata = filename.endsWith(METADATA);
  const name = isMetadata ? filename.slice(0, -METADATA.length) : filename;
  if (!names.includes(name)) return undefined;
  return remember(path, () => ({
    bytes: isMetadata ? metadata(project, name) : wheel(project, name),
    mediaType: 'application/octet-stream',
  }));
}

serveOrigin({ answer, roundTrip: Number(process.argv[2]) });
