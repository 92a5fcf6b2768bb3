// Measures the shape of the source: `node scripts/node.mjs scripts/measure-house.mjs [--json] [--only members,requests]
// [interfaces]`, after a build. Prints tables in Markdown; --json everything, also the functions that ran for a request.
import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { measureGraphs } from './house/graph.mjs';
import { longestFiles, measureLines, measureOpenings } from './house/lines.mjs';
import { measureMembers } from './house/members.mjs';
import { findRepeats } from './house/repeats.mjs';
import { measureRequests } from './house/requests.mjs';
import { readSources } from './house/sources.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '');
const ENGINE = 'core/src/engine';
const LONGEST = 12;
const REPEATS_SHOWN = 40;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, only: { type: 'string' } },
});

const sources = readSources(ROOT);

/** @type {Record<string, () => unknown>} */
const MEASUREMENTS = {
  members: () => measureMembers(ROOT, positionals.length > 0 ? positionals : undefined),
  requests: () => measureRequests(ROOT),
  graphs: () => measureGraphs(sources, [ENGINE, 'host/src', ...globSync('plugins/*/src', { cwd: ROOT }).sort()]),
  lines: () => ({ packages: measureLines(sources), longest: longestFiles(sources, ENGINE, LONGEST) }),
  openings: () => measureOpenings(sources),
  repeats: () => findRepeats(sources),
};

const wanted = flags.only?.split(',') ?? Object.keys(MEASUREMENTS);
const unknown = wanted.filter((name) => !(name in MEASUREMENTS));
if (unknown.length > 0) {
  process.stderr.write(`--only ${unknown.join(',')}: expected some of ${Object.keys(MEASUREMENTS).join(', ')}\n`);
  process.exit(2);
}

/** @type {any} */
const found = {};
for (const name of wanted) found[name] = await MEASUREMENTS[name]?.();
process.stdout.write(flags.json ? `${JSON.stringify(found, null, 2)}\n` : report(found));

/** @param {any} measured */
function report({ members, requests, graphs, lines, openings, repeats }) {
  const parts = [];
  if (members) {
    parts.push(
      '## Members of interfaces, by the type checker',
      table(
        ['interface', 'exported by', 'members', 'optional', 'used by one plugin alone', 'used by no plugin'],
        members.map((/** @type {any} */ one) => [
          one.name,
          one.entry,
          one.members,
          one.optional,
          listed(Object.entries(one.single).map(([name, plugin]) => `${name} (${plugin})`)),
          listed(one.unused),
        ]),
      ),
    );
  }
  if (requests) {
    parts.push(
      '## Files and functions that run for a request, by V8 coverage',
      table(
        ['request', 'files', 'functions', 'functions of all runs'],
        requests.map((/** @type {any} */ one) => [one.request, one.files, one.functions, one.runs.join(', ')]),
      ),
    );
  }
  if (graphs) {
    parts.push(
      '## Imports within a folder',
      table(
        ['folder', 'files', 'siblings', 'levels', 'arrows', 'circles (files)', 'folders', 'arrows between', 'circles'],
        graphs.map((/** @type {any} */ one) => [
          one.folder,
          one.files,
          one.siblings,
          one.levels,
          one.arrows,
          one.circles.map((/** @type {string[]} */ circle) => circle.length).join(' + ') || 0,
          one.folders,
          `${one.folderArrows} (${one.folderPairs} pairs)`,
          one.folderCircles.map((/** @type {string[]} */ circle) => circle.join(' ')).join('; ') || 0,
        ]),
      ),
    );
  }
  if (lines) {
    parts.push(
      '## Lines of source, without tests',
      table(
        ['package', 'files', 'code', 'comments'],
        lines.packages.map((/** @type {any} */ one) => [one.package, one.files, one.code, one.comment]),
      ),
      `## Longest files of ${ENGINE}`,
      table(
        ['file', 'lines', 'code', 'comments'],
        lines.longest.map((/** @type {any} */ one) => [one.path, one.lines, one.code, one.comment]),
      ),
    );
  }
  if (openings)
    parts.push('## Doc comments by their first word', table(Object.keys(openings), [Object.values(openings)]));
  if (repeats) {
    const rows = repeats.slice(0, REPEATS_SHOWN);
    parts.push(
      `## Six lines of logic or more that stand twice: ${repeats.length}`,
      table(
        ['lines', 'here', 'and here'],
        rows.map((/** @type {any} */ { lines, one, other }) => [lines, placed(one), placed(other)]),
      ),
    );
  }
  return `${parts.join('\n\n')}\n`;
}

/** @param {{ path: string, from: number, to: number }} place */
function placed({ path, from, to }) {
  return `${path}:${from}-${to}`;
}

/** @param {readonly string[]} names */
function listed(names) {
  return names.length === 0 ? '0' : `${names.length}: ${names.join(', ')}`;
}

/**
 * @param {readonly string[]} head
 * @param {readonly (readonly unknown[])[]} rows
 */
function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
