import { withoutComments } from './lines.mjs';

/** @import { Source } from './sources.mjs' */

/**
 * Lines that stand in two places.
 * @typedef {object} Repeat
 * @property {number} lines how many lines of logic
 * @property {{ path: string, from: number, to: number }} one
 * @property {{ path: string, from: number, to: number }} other
 */

/**
 * The lines that do something: without comments, imports, braces and white space.
 * @param {Source} source
 * @returns {{ text: string, line: number }[]}
 */
export function logicOf({ text, comments, importStatements }) {
  const spans = [...comments, ...importStatements].sort((one, other) => one.start - other.start);
  return withoutComments(text, spans)
    .split('\n')
    .map((line, at) => ({ text: line.trim().replaceAll(/\s+/g, ' '), line: at + 1 }))
    .filter((line) => /\w/.test(line.text));
}

/**
 * Finds runs of at least `least` equal lines of logic in two places, each as long as it goes.
 * @param {readonly Source[]} sources
 * @param {number} least
 * @returns {Repeat[]} the longest first
 */
export function findRepeats(sources, least = 6) {
  const files = sources.map((source) => ({ path: source.path, logic: logicOf(source) }));
  /** @type {Map<string, { file: number, at: number }[]>} */
  const windows = new Map();
  for (const [file, { logic }] of files.entries()) {
    for (let at = 0; at + least <= logic.length; at += 1) {
      const key = logic
        .slice(at, at + least)
        .map(({ text }) => text)
        .join('\n');
      const places = windows.get(key);
      if (places === undefined) windows.set(key, [{ file, at }]);
      else places.push({ file, at });
    }
  }
  /** @type {Repeat[]} */
  const found = [];
  for (const places of windows.values()) {
    for (const [index, one] of places.entries()) {
      for (const other of places.slice(index + 1)) {
        const repeat = extend(one, other);
        if (repeat !== undefined) found.push(repeat);
      }
    }
  }
  return found.sort((one, other) => other.lines - one.lines);

  /**
   * The whole run that begins at these places. `undefined`: it began before them, or the places overlap.
   * @param {{ file: number, at: number }} one
   * @param {{ file: number, at: number }} other
   */
  function extend(one, other) {
    const left = files[one.file];
    const right = files[other.file];
    if (left === undefined || right === undefined || same(-1)) return undefined;
    let lines = least;
    while (same(lines)) lines += 1;
    if (one.file === other.file && one.at + lines > other.at) return undefined;
    return { lines, one: place(left, one.at, lines), other: place(right, other.at, lines) };

    /** @param {number} step */
    function same(step) {
      const text = left?.logic[one.at + step]?.text;
      return text !== undefined && text === right?.logic[other.at + step]?.text;
    }
  }
}

/**
 * @param {{ path: string, logic: { line: number }[] }} file
 * @param {number} at
 * @param {number} lines
 */
function place({ path, logic }, at, lines) {
  return { path, from: logic[at]?.line ?? 0, to: logic[at + lines - 1]?.line ?? 0 };
}
