import { packageOf } from './sources.mjs';

/** @import { Source } from './sources.mjs' */

/** Words that a doc comment should not begin with: it starts with a verb or a noun. */
const OPENINGS = ['What', 'Who', 'That which', 'Where', 'How', 'Whether'];

/**
 * Counts the lines with code and those with nothing but a comment. Empty lines are neither.
 * @param {Source} source
 */
export function countLines({ text, comments }) {
  const bare = withoutComments(text, comments).split('\n');
  const lines = text.split('\n');
  const code = bare.filter((line) => line.trim() !== '').length;
  const comment = lines.filter((line, at) => line.trim() !== '' && bare[at]?.trim() === '').length;
  return { code, comment };
}

/**
 * The text with spaces in place of comments, so that lines and columns stay.
 * @param {string} text
 * @param {readonly { start: number, end: number }[]} spans
 */
export function withoutComments(text, spans) {
  let result = '';
  let end = 0;
  for (const span of spans) {
    result += text.slice(end, span.start) + text.slice(span.start, span.end).replace(/[^\n]/g, ' ');
    end = span.end;
  }
  return result + text.slice(end);
}

/**
 * @param {readonly Source[]} sources
 * @returns {{ package: string, files: number, code: number, comment: number }[]} a row for each package, and the sum
 */
export function measureLines(sources) {
  /** @type {Map<string, { files: number, code: number, comment: number }>} */
  const packages = new Map();
  const all = { files: 0, code: 0, comment: 0 };
  for (const source of sources) {
    const name = packageOf(source.path);
    const own = packages.get(name) ?? { files: 0, code: 0, comment: 0 };
    packages.set(name, own);
    const { code, comment } = countLines(source);
    for (const sum of [own, all]) {
      sum.files += 1;
      sum.code += code;
      sum.comment += comment;
    }
  }
  return [...[...packages].map(([name, own]) => ({ package: name, ...own })), { package: 'all', ...all }];
}

/**
 * The longest files of a folder, by all their lines.
 * @param {readonly Source[]} sources
 * @param {string} folder
 * @param {number} most
 */
export function longestFiles(sources, folder, most) {
  return sources
    .filter(({ path }) => path.startsWith(`${folder}/`))
    .map((source) => ({ path: source.path, lines: source.text.trimEnd().split('\n').length, ...countLines(source) }))
    .sort((one, other) => other.lines - one.lines)
    .slice(0, most);
}

/**
 * Counts doc comments by the word that they begin with.
 * @param {readonly Source[]} sources
 * @returns {Record<string, number>}
 */
export function measureOpenings(sources) {
  const counts = Object.fromEntries(OPENINGS.map((opening) => [opening, 0]));
  for (const { comments } of sources) {
    for (const { type, value } of comments) {
      if (type !== 'Block' || !value.startsWith('*')) continue;
      const prose = value.replace(/^[\s*]+/, '').replaceAll(/\s*\n\s*\*\s*/g, ' ');
      const opening = OPENINGS.find((words) => new RegExp(`^${words}\\b`).test(prose));
      if (opening !== undefined) counts[opening] = (counts[opening] ?? 0) + 1;
    }
  }
  return counts;
}
