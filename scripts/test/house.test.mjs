import { expect, test } from 'vitest';
import { circles, folderGraph, importGraph, levels } from '../house/graph.mjs';
import { countLines, measureOpenings } from '../house/lines.mjs';
import { findRepeats, logicOf } from '../house/repeats.mjs';
import { parseSource } from '../house/sources.mjs';

/** @param {Record<string, string>} files */
function sourcesOf(files) {
  return Object.entries(files).map(([path, text]) => parseSource(`core/src/${path}`, text));
}

const CIRCLE = {
  'engine/top.ts': `import { a } from './one/a.js';\nimport { other } from '../other.js';`,
  'engine/one/a.ts': `import type { B } from './b.js';\nexport * from '../two/c.js';`,
  'engine/one/b.ts': `export const a = () => import('./a.js');`,
  'engine/two/c.ts': `import { join } from 'node:path';\nimport { b } from '../one/b.js';`,
  'engine/two/d.ts': `export const d = 1;`,
  'other.ts': '',
};

test('the import graph has types, re-exports and dynamic imports, and nothing from outside the folder', () => {
  const graph = importGraph(sourcesOf(CIRCLE), 'core/src/engine');
  expect(Object.fromEntries([...graph].map(([path, targets]) => [path, [...targets]]))).toEqual({
    'core/src/engine/top.ts': ['core/src/engine/one/a.ts'],
    'core/src/engine/one/a.ts': ['core/src/engine/one/b.ts', 'core/src/engine/two/c.ts'],
    'core/src/engine/one/b.ts': ['core/src/engine/one/a.ts'],
    'core/src/engine/two/c.ts': ['core/src/engine/one/b.ts'],
    'core/src/engine/two/d.ts': [],
  });
});

test('a circle is found with all its files, and stands on one level', () => {
  const graph = importGraph(sourcesOf(CIRCLE), 'core/src/engine');
  expect(circles(graph).map((circle) => circle.toSorted())).toEqual([
    ['core/src/engine/one/a.ts', 'core/src/engine/one/b.ts', 'core/src/engine/two/c.ts'],
  ]);
  expect(levels(graph)).toBe(2);
});

test('levels follow the longest way down', () => {
  const chain = new Map([
    ['a', new Set(['b', 'c'])],
    ['b', new Set(['c'])],
    ['c', new Set(['d'])],
    ['d', new Set()],
  ]);
  expect(levels(chain)).toBe(4);
  expect(circles(chain)).toEqual([]);
});

test('two circles that touch only one way stay two', () => {
  const graph = new Map([
    ['a', new Set(['b', 'c'])],
    ['b', new Set(['a'])],
    ['c', new Set(['d'])],
    ['d', new Set(['c'])],
  ]);
  expect(circles(graph).map((circle) => circle.toSorted())).toEqual([
    ['c', 'd'],
    ['a', 'b'],
  ]);
});

test('arrows between folders are counted by file, pairs by folder', () => {
  const { folders, arrows } = folderGraph(importGraph(sourcesOf(CIRCLE), 'core/src/engine'), 'core/src/engine');
  expect(arrows).toBe(2);
  expect(Object.fromEntries(folders)).toEqual({ one: new Set(['two']), two: new Set(['one']) });
});

test('a line with code and a comment is code; comment signs in a text are no comment', () => {
  const source = parseSource(
    'core/src/a.ts',
    `/**\n * Adds.\n */\nconst a = 1; // one\n\n// alone\nconst b = \`\n// text\n\`;\n`,
  );
  expect(countLines(source)).toEqual({ code: 4, comment: 4 });
});

test('doc comments are counted by the word that they begin with, whole words alone', () => {
  const text = [
    '/** What it is. */',
    '/**\n * That\n * which is two lines apart. */',
    '/** Whether it is. */',
    '/** Whatever. */',
    '// What is no doc comment.',
    '/* Who neither. */',
    '/** Serves what it has. */',
  ].join('\n');
  const none = { Who: 0, Where: 0, How: 0 };
  const counts = measureOpenings([parseSource('core/src/a.ts', text)]);
  expect(counts).toEqual({ ...none, What: 1, 'That which': 1, Whether: 1 });
});

const RUN = Array.from({ length: 6 }, (_, index) => `  call(${index});`);

test('logic is what is left without imports, braces, comments and white space', () => {
  const text = `import {\n  a,\n} from './a.js';\n// why\nif (a) {\n  a( );  // so\n}\n`;
  expect(logicOf(parseSource('core/src/a.ts', text))).toEqual([
    { text: 'if (a) {', line: 5 },
    { text: 'a( );', line: 6 },
  ]);
});

test('six equal lines in two places are one repeat, whatever stands between them', () => {
  const here = ['const here = 1;', ...RUN, 'const end = 1;'].join('\n');
  const there = ['const there = 1;', ...RUN.slice(0, 3), '', '// why', ...RUN.slice(3), 'const over = 1;'].join('\n');
  expect(findRepeats(sourcesOf({ 'a.ts': here, 'b.ts': there }))).toEqual([
    {
      lines: 6,
      one: { path: 'core/src/a.ts', from: 2, to: 7 },
      other: { path: 'core/src/b.ts', from: 2, to: 9 },
    },
  ]);
});

test('a longer run is one repeat, five lines are none, and a run does not repeat itself', () => {
  const longer = [...RUN, 'call(6);', 'call(7);'].join('\n');
  const found = findRepeats(sourcesOf({ 'a.ts': `${longer}\nconst between = 1;\n${longer}` }));
  expect(found.map(({ lines }) => lines)).toEqual([8]);
  expect(findRepeats(sourcesOf({ 'a.ts': RUN.slice(1).join('\n'), 'b.ts': RUN.slice(1).join('\n') }))).toEqual([]);
  expect(findRepeats(sourcesOf({ 'a.ts': Array(11).fill('same();').join('\n') }))).toEqual([]);
});
