import { readFileSync, statSync } from 'node:fs';
import { escapeHtml } from '@entrepot/core';
import { ConfigurationError } from '../config/configuration-error.js';
import type { HomeConfig } from '../config/schema.js';

/** The start page around its list of repositories. */
export interface HomeContent {
  readonly title: string;
  /** Writes the body around the HTML of the list. */
  body(repositories: string): string;
}

const LARGEST = 1024 * 1024;
const PLACE = '{{repositories}}';
const SENTENCE = 'Packages are landed here once, inspected, kept and sent on.';

/** Reads what the start page says. @throws ConfigurationError for a file that cannot be read */
export function readHome({ title = 'Entrepot', text = SENTENCE, file }: HomeConfig): HomeContent {
  if (file !== undefined) {
    const parts = readTemplate(file).split(PLACE);
    return { title, body: (repositories) => parts.join(repositories) };
  }
  const paragraphs = text.split(/\n\s*\n/).map((paragraph) => `<p>${escapeHtml(paragraph.trim())}</p>`);
  const head = `<header>\n<h1>${escapeHtml(title)}</h1>\n${paragraphs.join('\n')}\n</header>`;
  return { title, body: (repositories) => `${head}\n<main>\n${repositories}\n</main>\n${FOOTER}` };
}

const FOOTER = '<footer><a href="/-/readyz">readiness</a> · <a href="/-/livez">liveness</a></footer>';

function readTemplate(file: string): string {
  const problem = (message: string) => new ConfigurationError([{ path: 'server.home.file', message }]);
  try {
    const { size } = statSync(file);
    if (size > LARGEST) throw problem(`expected at most ${LARGEST} bytes, found ${size}`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    throw problem(`expected a file that can be read: ${(error as Error).message}`);
  }
}
