import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { get } from '@entrepot/fixtures/get';
import { parse } from 'yaml';
import { freePort } from '../servers/entrepot.mjs';
import { TOKEN_KEY } from './helm-requests.mjs';
import { PROFILES } from './helm-script.mjs';

/** @import { ScriptRequest } from './helm-requests.mjs' */
/** @import { ScriptProfile } from './helm-script.mjs' */
/** @import { Answer } from '@entrepot/fixtures/get' */

/** ChartMuseum's recorded replies, so that the comparison needs no ChartMuseum. */
const RECORDED = fileURLToPath(import.meta.resolve('@entrepot/fixtures/chartmuseum.json'));
const COMPARED_HEADERS = ['content-type', 'www-authenticate', 'access-control-allow-origin', 'location'];

/**
 * An answer without what changes from one run to the next, and from one address to another.
 * @typedef {{ status: number, headers: Record<string, string>, body: unknown }} PlainAnswer
 */

/** By profile, by name of the request. @typedef {Record<string, Record<string, PlainAnswer>>} Recording */

/** @returns {Promise<Recording>} */
export async function readRecording() {
  return JSON.parse(await readFile(RECORDED, 'utf8'));
}

/**
 * Plays the whole script against a ChartMuseum program.
 * @param {string} program
 * @param {string} folder for what it keeps
 * @returns {Promise<Recording>}
 */
export async function recordChartMuseum(program, folder) {
  /** @type {Recording} */
  const recording = {};
  const key = join(folder, 'key.pem');
  await writeFile(key, TOKEN_KEY);
  for (const profile of PROFILES) {
    const port = await freePort();
    const storage = join(folder, profile.name);
    await mkdir(storage);
    const where = [
      `--port=${port}`,
      '--listen-host=127.0.0.1',
      '--storage=local',
      `--storage-local-rootdir=${storage}`,
    ];
    const flags = profile.flags.map((flag) => flag.replace('KEY', key));
    const child = spawn(program, [...where, ...flags], { stdio: 'ignore', cwd: folder, env: {} });
    try {
      await once(child, 'spawn');
      await answers(`http://127.0.0.1:${port}/health`);
      recording[profile.name] = await playProfile(profile, `http://127.0.0.1:${port}`);
    } finally {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
  }
  return recording;
}

/** @param {Recording} recording */
export async function keepRecording(recording) {
  await writeFile(RECORDED, `${JSON.stringify(recording, undefined, 2)}\n`);
}

/** @param {string} url */
async function answers(url) {
  for (let attempt = 0; ; attempt += 1) {
    const answer = await get(url).catch(() => undefined);
    if (answer !== undefined) return;
    if (attempt === 300) throw new Error(`an answer was expected from ${url}`);
    await delay(20);
  }
}

/**
 * Sends the requests of a profile, one after the other.
 * @param {ScriptProfile} profile
 * @param {string} base the URL of the repository
 */
export async function playProfile(profile, base) {
  /** @type {Record<string, PlainAnswer>} */
  const played = {};
  for (const request of profile.requests) {
    if (played[request.name] !== undefined)
      throw new Error(`two requests of ${profile.name} are called ${request.name}`);
    played[request.name] = plain(await send(request, base), request, base);
  }
  return played;
}

/** @param {ScriptRequest} request @param {string} base */
function send({ method, path, headers = {}, body }, base) {
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  return get(`${base}${path}`, { method, headers: { ...headers, ...length }, ...(body !== undefined && { body }) });
}

/** @param {Answer} answer @param {ScriptRequest} request @param {string} base @returns {PlainAnswer} */
function plain({ status, headers, body }, { method, path }, base) {
  const kept = COMPARED_HEADERS.flatMap((name) => {
    const value = headers[name];
    if (typeof value !== 'string') return [];
    // The realm of a password is the name of the server, and a description is a sentence beside a code.
    const own = value
      .replace(/; charset=utf-8$/i, '')
      .replace(/^Basic .*/, 'Basic')
      .replace(/,error_description="[^"]*"/, '');
    return [[name, withoutPlace(own, base)]];
  });
  return {
    status,
    headers: Object.fromEntries(kept),
    body: method === 'HEAD' ? null : plainBody(body, path, base, status),
  };
}

/** @param {Buffer} body @param {string} path @param {string} base @param {number} status */
function plainBody(body, path, base, status) {
  const [name = ''] = path.split('?');
  if (status === 200 && /\.(?:tgz|prov)$/.test(name))
    return `sha256:${createHash('sha256').update(body).digest('hex')}`;
  const text = body.toString('utf8');
  if (text.startsWith('<')) return '<html>';
  if (status === 200 && name.endsWith('index.yaml')) return ordered(parse(text), base);
  try {
    return ordered(JSON.parse(text), base);
  } catch {
    return text;
  }
}

/** Times say nothing, and the order of keys is no one's. @param {unknown} value @param {string} base @returns {unknown} */
function ordered(value, base) {
  if (typeof value === 'string') return withoutPlace(value, base);
  if (Array.isArray(value)) return value.map((member) => ordered(member, base));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    .map(([key, member]) => [key, key === 'created' || key === 'generated' ? '(time)' : ordered(member, base)])
    // A server at the root of its host says nothing of its path.
    .filter(([key, member]) => key !== 'contextPath' || member !== '');
  return Object.fromEntries(entries.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)));
}

/** @param {string} text @param {string} base */
function withoutPlace(text, base) {
  const { pathname } = new URL(base);
  const here = text.replaceAll(base, '(base)').replaceAll(/^remove \S+:/g, 'remove (path):');
  return pathname === '/' ? here : here.replaceAll(pathname, '');
}

/**
 * Lists unintended differences from the recording.
 * @param {ScriptProfile} profile
 * @param {Record<string, PlainAnswer>} expected
 * @param {Record<string, PlainAnswer>} found
 * @param {{ strict?: boolean }} [options] `strict`: nothing is meant to be otherwise
 * @returns {string[]} one text for each request
 */
export function differences({ requests }, expected, found, { strict = false } = {}) {
  return requests.flatMap(({ name, differs: meant, isUnsteady = false }) => {
    const differs = strict && !isUnsteady ? undefined : meant;
    const theirs = expected[name];
    const ours = found[name];
    if (theirs === undefined || ours === undefined) return [`${name}: no answer is recorded`];
    const wanted = {
      status: differs?.status ?? theirs.status,
      headers:
        differs?.headers ?? (differs?.status === undefined || differs.status === theirs.status ? theirs.headers : {}),
      body: differs === undefined || differs.sameBody === true ? theirs.body : differs.body,
    };
    const problems = [];
    if (ours.status !== wanted.status) problems.push(`status ${wanted.status}, found ${ours.status}`);
    for (const [header, value] of Object.entries(wanted.headers)) {
      if (ours.headers[header] !== value) problems.push(`${header} ${value}, found ${ours.headers[header]}`);
    }
    if (wanted.body !== undefined && !isDeepStrictEqual(ours.body, wanted.body)) {
      problems.push(`body ${short(wanted.body)}, found ${short(ours.body)}`);
    }
    return problems.length === 0 ? [] : [`${name}: expected ${problems.join('; ')}`];
  });
}

/** @param {unknown} body */
function short(body) {
  return JSON.stringify(body)?.slice(0, 600);
}
