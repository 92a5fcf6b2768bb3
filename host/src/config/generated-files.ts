import type { AnyDeclaredPlugin } from '@entrepot/core';
import { optionsJsonSchema, publishedJsonSchema } from './json-schema.js';
import { configurationPage } from './reference-page.js';

/**
 * The files that are made from the configuration's schema, by their path in the repository. A test compares them with
 * what is there; `scripts/generate-docs.mjs` writes them.
 * @param plugins the bundled ones, for their options and classes
 * @param page docs/configuration.md as it is
 */
export function generatedFiles(plugins: readonly AnyDeclaredPlugin[], page: string): Readonly<Record<string, string>> {
  const sorted = [...plugins].sort((one, two) => one.id.localeCompare(two.id, 'en'));
  const options = sorted.map(({ id, options }) => ({ type: id, options: optionsJsonSchema(options) }));
  return {
    'host/entrepot.schema.json': `${JSON.stringify(publishedJsonSchema(options), undefined, 2)}\n`,
    'docs/configuration.md': configurationPage(page, sorted),
  };
}
