import type { Content } from '../api/content.js';
import { createJsonScanner, type ObjectVisitor } from './json-scanner.js';
import { slices } from './work-turns.js';

/**
 * Shows the members of `content` to `root`.
 * @throws JsonFormatError
 */
export async function scanJson(content: Content, root: ObjectVisitor): Promise<void> {
  const scanner = createJsonScanner(root);
  for await (const slice of slices(content.stream())) scanner.write(slice);
  scanner.end();
}
