import { strict as assert } from 'node:assert';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

/**
 * The output of one client.
 * @typedef {object} ClientMessages
 * @property {string} client
 * @property {string} version of the client
 * @property {ReadonlyMap<Situation, string>} printed the whole output, where the client can come to that
 */

/** The way that a client meets a refusal. @typedef {'pin' | 'rotten' | 'locked' | 'direct'} Situation */

const FILE = fileURLToPath(new URL('../../docs/policy-messages.md', import.meta.url));
/** @type {readonly { way: Situation, heading: string }[]} */
const SITUATIONS = [
  { way: 'pin', heading: 'exact version' },
  { way: 'rotten', heading: 'no version is left' },
  { way: 'locked', heading: 'from a lockfile' },
  { way: 'direct', heading: 'by its URL' },
];
const LONGEST_LINE = 600;
const MOST_LINES = 6;

const INTRODUCTION = `# What clients print when policy refuses

Written by \`node acceptance/run.mjs --policy --write-docs\`, which has unmodified clients ask a running server for versions that its
policy refuses; every later run fails when a client prints something else. What policy is: [policy.md](policy.md).

A client meets a refusal in one of four ways: it wants an exact version, which its document (packument, index page, list of
tags) does not have; its document has no version left; it wants the artifact itself, because a lockfile names it, or somebody its URL.
The cells say what of the refusal is printed: the id of the rule, and the URL of the explanation.
Where that is neither, \`entrepot explain <purl>\`, the page \`/-/explain/<purl>\` and the log of the server tell.

`;

/** Finds the parts of a refusal that an output shows. @param {string} text */
export function told(text) {
  // Terminals wrap.
  const flat = text.replaceAll(/\s+/g, ' ');
  const hasRule = /\b(?:malware|known-bad)\b/.test(flat);
  const hasUrl = flat.includes('/-/explain/pkg:');
  if (hasRule && hasUrl) return 'rule, URL';
  return hasRule ? 'rule' : hasUrl ? 'URL' : 'neither';
}

/**
 * Compares what was printed with the documented table, or writes it.
 * @param {readonly ClientMessages[]} seen
 * @param {{ write: boolean }} options
 */
export async function settleMessages(seen, { write }) {
  const rows = seen.map(rowOf);
  if (write) {
    const titles = ['client', ...SITUATIONS.map(({ heading }) => heading)];
    const table = [titles, titles.map(() => '---'), ...rows.map(({ cells }) => cells)];
    const lines = table.map((cells) => `| ${cells.join(' | ')} |`);
    const samples = samplesOf(seen).join('\n');
    await writeFile(FILE, `${INTRODUCTION}${lines.join('\n')}\n\n## In their words\n\n${samples}`);
    return;
  }
  const documented = await readFile(FILE, 'utf8');
  for (const { name, cells } of rows) {
    const line = documented.split('\n').find((candidate) => candidate.startsWith(`| ${name} `)) ?? '';
    // Another version of a client of the machine may be as good.
    assert.deepEqual(line.split(' | ').slice(1), `| ${cells.join(' | ')} |`.split(' | ').slice(1), `docs: ${name}`);
  }
}

/** @param {ClientMessages} messages */
function rowOf({ client, version, printed }) {
  const cells = SITUATIONS.map(({ way }) => {
    const text = printed.get(way);
    return text === undefined ? '–' : told(text);
  });
  return { name: client, cells: [`${client} ${version === client ? '' : `(${version})`}`.trim(), ...cells] };
}

/** A section for each client; those that print the same have one together. @param {readonly ClientMessages[]} seen */
function samplesOf(seen) {
  /** @type {Map<string, string[]>} */
  const sections = new Map();
  for (const { client, printed } of seen) {
    const parts = SITUATIONS.flatMap(({ way, heading }) => {
      const text = printed.get(way);
      return text === undefined ? [] : [`${heading}:\n\n\`\`\`text\n${excerptOf(text)}\n\`\`\`\n`];
    });
    const text = parts.join('\n');
    sections.set(text, [...(sections.get(text) ?? []), client]);
  }
  return [...sections].map(([text, clients]) => `### ${clients.join(', ')}\n\n${text}`);
}

/** The lines that matter, with nothing of the machine in them. @param {string} text */
function excerptOf(text) {
  const lines = stripVTControlCharacters(text)
    .replaceAll(/http:\/\/127\.0\.0\.1:\d+/g, 'http://packages.example.com')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'packages.example.com')
    .replaceAll(/ \[IP: [^\]]*\]/g, '')
    .replaceAll(/ \(IP: [^)]*\)/g, '')
    .replaceAll(/ in \d+s(?: \d+ms)?/g, '')
    .replaceAll(/\/(?:tmp|root|home)\/[^\s:)]*/g, '…')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?Z/g, '2026-01-01T00:00Z')
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '' && !/^\s+at |complete log of this run|_logs|^\s*…$/.test(line));
  const telling = lines.filter((line) => told(line) !== 'neither');
  const failing = lines.filter((line) => /\b(?:error|err|fail|YN00(?:35|82))|403|denied|No matching/i.test(line));
  const chosen = telling.length > 0 ? telling : failing.length > 0 ? failing : lines;
  return [...new Set(chosen)]
    .slice(0, MOST_LINES)
    .map((line) => (line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)}…` : line))
    .join('\n');
}
