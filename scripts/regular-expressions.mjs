import { globSync, readFileSync } from 'node:fs';
import { parseSync } from 'vite';

/**
 * A regular expression in the shipped source.
 * @typedef {object} Expression
 * @property {string} place the file and line
 * @property {string} source what stands between the slashes
 * @property {string} flags
 */

/**
 * Every regular expression of the shipped source, from the syntax tree.
 * @param {string} root the folder of the repository
 * @returns {{ expressions: Expression[], made: string[] }} `made`: where one is put together at run time
 */
export function findExpressions(root) {
  /** @type {Expression[]} */
  const expressions = [];
  /** @type {string[]} */
  const made = [];
  for (const file of globSync('{core,host,plugins/*,templates/*}/src/**/*.{ts,mts,js,mjs}', { cwd: root }).sort()) {
    const text = readFileSync(`${root}/${file}`, 'utf8');
    const { program, errors } = parseSync(file, text);
    if (errors.length > 0) throw new SyntaxError(`${file}: ${errors[0]?.message}`);
    visit(program, (node) => {
      const place = () => `${file}:${text.slice(0, node.start).split('\n').length}`;
      if (node.regex) expressions.push({ place: place(), source: node.regex.pattern, flags: node.regex.flags });
      const isCall = node.type === 'NewExpression' || node.type === 'CallExpression';
      if (isCall && node.callee.name === 'RegExp') made.push(place());
    });
  }
  return { expressions, made };
}

/**
 * @param {unknown} node
 * @param {(node: any) => void} act
 */
function visit(node, act) {
  if (typeof node !== 'object' || node === null) return;
  if ('type' in node) act(node);
  for (const child of Object.values(node)) visit(child, act);
}
