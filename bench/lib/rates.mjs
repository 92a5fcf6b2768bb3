import { decoded, get } from './http.mjs';
import { load } from './load.mjs';
import { assertListener } from './processes.mjs';
import { rotated, summarise } from './statistics.mjs';

const WARM_UP_SECONDS = 1;

/**
 * One URL of every server under load, out of its cache. `one`: `servers`, `urlOf(server, bench)`, `headers`,
 * `expected(bench)` (the digest of the right body), `digest(body)`, `connections`, `seconds`, `field`, `bars`;
 * `agent`: of the requests before the load, `false` for a connection each;
 * `conditional`: with the tag of the answer, which has to be met by 304. A server that does not answer as it has to is left out with a note.
 * Shows the number of requests to the upstream meanwhile: not every peer keeps what it is asked for here.
 */
export async function runRates(bench, one) {
  const notes = [];
  const targets = [];
  const expected = await one.expected?.(bench);
  for (const id of one.servers.filter((id) => bench.has(id))) {
    const target = await warmUp(one, await bench.server(id), expected, notes, bench);
    if (target) targets.push(target);
  }
  const samples = new Map(targets.map((target) => [target.id, []]));
  const seconds = bench.options.quick ? 1 : (one.seconds ?? 2);
  for (let turn = 0; turn < bench.options.runs && bench.timeLeft(); turn++) {
    for (const target of rotated(targets, turn)) {
      const before = await bench.origin.traffic();
      const sample = await load(bench.wrk, { ...target, connections: one.connections, seconds });
      const { requests } = await bench.origin.traffic();
      samples.get(target.id).push({ ...sample, asked: requests - before.requests });
    }
  }
  return {
    notes,
    kind: one.field,
    rows: targets
      .filter((target) => samples.get(target.id).length > 0)
      .map((target) => summarise(target.id, samples.get(target.id), one.field)),
    bars: one.bars ?? [],
  };
}

async function warmUp(one, server, expected, notes, bench) {
  assertListener(server.port, server.started.pid);
  const url = await one.urlOf(server, bench);
  if (url === undefined) {
    notes.push(`${server.id}: has no such address`);
    return undefined;
  }
  const headers = { ...one.headers };
  let answer;
  for (let turn = 0; turn < 3; turn++) answer = await get(url, { headers, agent: one.agent });
  if (answer.status !== 200) {
    notes.push(`${server.id} answers ${answer.status}`);
    return undefined;
  }
  if (expected !== undefined && one.digest(decoded(answer)) !== expected) {
    notes.push(`${server.id}: the answer does not have the origin's content`);
    return undefined;
  }
  const wanted = headers['accept-encoding'];
  const found = answer.headers['content-encoding'] ?? 'identity';
  if (wanted && wanted !== found) notes.push(`${server.id} answered with coding ${found}`);
  if (one.conditional) {
    headers['if-none-match'] = answer.headers.etag ?? '"none"';
    const again = await get(url, { headers });
    if (again.status !== 304) {
      notes.push(`${server.id} answers ${again.status} instead of 304`);
      return undefined;
    }
  }
  const target = { id: server.id, url, headers, pid: server.started.pid };
  await load(bench.wrk, { ...target, connections: one.connections, seconds: WARM_UP_SECONDS });
  return target;
}
