/**
 * The upstream of the servers in the suite for Go: a module proxy that passes on a checksum database of its own. Arguments:
 * the round trip, the files of key and certificate (or empty), and `small` for few modules.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { GoDatabase, proxyAnswer } from '@entrepot/fixtures/go-database';
import { serveOrigin } from '../lib/origin-server.mjs';
import { goModules } from './fixtures.mjs';

const [roundTrip, key, certificate, size] = process.argv.slice(2);
const answers = new Map();
let direct;
let name = 'sumdb.test';

// Athens reaches databases by https only, and takes their names for hosts: so the name is that of a server with TLS.
if (key) {
  direct = createServer({ key: readFileSync(key), cert: readFileSync(certificate) });
  direct.keepAliveTimeout = 120_000;
  direct.listen(0, '127.0.0.1');
  await once(direct, 'listening');
  name = `127.0.0.1:${direct.address().port}`;
}

const database = new GoDatabase(name);
const modules = goModules(database, size === 'small');

function answer(path) {
  if (answers.has(path)) return answers.get(path);
  const found = proxyAnswer(modules, database, path.slice(1));
  const one = found && { bytes: found.body, mediaType: found.mediaType };
  answers.set(path, one);
  return one;
}

const databaseFacts = { name, verifierKey: database.verifierKey, certificate: key ? certificate : undefined };
const listener = serveOrigin({ answer, roundTrip: Number(roundTrip), facts: { database: databaseFacts } });
direct?.on('request', (request, response) => {
  request.url = `/sumdb/${name}${request.url}`;
  listener(request, response);
});
