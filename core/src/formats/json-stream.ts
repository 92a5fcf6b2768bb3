import type { Content } from '../api/content.js';
import { createJsonScanner, type ObjectVisitor } from './json-scanner.js';
import { slices } from './work-turns.js';

/**
 * Shows the members of `content` to `root`.
 * @param advance called after each stretch that was read
 * @throws JsonFormatError
 */
export async function scanJson(content: Content, root: ObjectVisitor, advance?: () => void): Promise<void> {
  const scanner = createJsonScanner(root);
  for await (const slice of slices(content.stream())) {
    scanner.write(slice);
    advance?.();
  }
  scanner.end();
}
