/**
 * A trace of requests, as text in gzip. A line is a request: `<class> <bytes>` for an object that was not asked for before, which gets the
 * next number, from 0; else the number of the object. There are no names, and sizes have two digits.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { gunzipSync, gzipSync } from 'node:zlib';

const FIRST_LINE = 'entrepot trace 1';
const DIGITS = 2;

/**
 * @typedef {object} Trace
 * @property {number[]} requests numbers of objects
 * @property {{ kind: string, size: number }[]} objects `kind`: its class (`tarball`, `packument`, …)
 */

/**
 * Makes a trace of accesses in their order: `object` is anything that tells objects apart.
 * @returns {Trace}
 */
export function traceOf(accesses) {
  const numbers = new Map();
  const objects = [];
  const requests = [];
  for (const { object, kind, size } of accesses) {
    let number = numbers.get(object);
    if (number === undefined) {
      number = objects.length;
      numbers.set(object, number);
      objects.push({ kind, size: Number(size.toPrecision(DIGITS)) });
    }
    requests.push(number);
  }
  return { requests, objects };
}

/** @param {Trace} trace */
export function formatTrace({ requests, objects }) {
  const lines = [FIRST_LINE];
  let known = 0;
  for (const number of requests) {
    if (number < known) {
      lines.push(String(number));
      continue;
    }
    lines.push(`${objects[number].kind} ${objects[number].size}`);
    known += 1;
  }
  return `${lines.join('\n')}\n`;
}

/** @returns {Trace} */
export function parseTrace(text) {
  const [head, ...lines] = text.trimEnd().split('\n');
  if (head !== FIRST_LINE) throw new Error(`no trace: the first line "${FIRST_LINE}" was expected, found "${head}"`);
  const objects = [];
  const requests = lines.map((line, at) => {
    const [, kind, size] = /^(\S+) (\d+)$/.exec(line) ?? [];
    if (kind !== undefined) return objects.push({ kind, size: Number(size) }) - 1;
    if (!/^\d+$/.test(line) || Number(line) >= objects.length) {
      throw new Error(
        `line ${at + 2} of the trace: "<class> <bytes>" or the number of an object was expected: "${line}"`,
      );
    }
    return Number(line);
  });
  return { requests, objects };
}

/** @returns {Promise<Trace>} */
export async function readTrace(file) {
  return parseTrace(gunzipSync(await readFile(file)).toString('utf8'));
}

/** Gives the size of the file. @param {Trace} trace */
export async function writeTrace(file, trace) {
  const body = gzipSync(formatTrace(trace), { level: 9 });
  await writeFile(file, body);
  return body.length;
}
