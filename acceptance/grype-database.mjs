import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'libsql';
import { outputOf, runCommand } from './run-command.mjs';
import { tarball } from './tar.mjs';

/** @import { FixtureAdvisory } from './trivy-database.mjs' */

/** What Grype calls an ecosystem, by the type of its package URLs; and whose advisories it looks at there. */
const LANGUAGES = /** @type {const} */ ({
  npm: ['npm', 'github'],
  pypi: ['python', 'github'],
  golang: ['go-module', 'github'],
});

/** The tables of the model 6.1.10 that are read (anchore/grype, grype/db/v6/models.go). */
const TABLES = `
  create table blobs (id integer primary key, value text not null);
  create table db_metadata (build_timestamp datetime not null, model integer not null, revision integer not null, addition integer not null);
  create table providers (id text primary key, version text, processor text, date_captured datetime, input_digest text);
  create table vulnerability_handles (id integer primary key, name text not null collate nocase, status text not null collate nocase,
    published_date datetime, modified_date datetime, withdrawn_date datetime, provider_id text not null, blob_id integer);
  create table vulnerability_aliases (name text collate nocase, alias text not null collate nocase, primary key (name, alias));
  create table packages (id integer primary key, ecosystem text collate nocase, name text collate nocase);
  create table package_specifier_overrides (ecosystem text, replacement_ecosystem text, primary key (ecosystem, replacement_ecosystem));
  create table architecture_aliases (alias text primary key, canonical text not null);
  create table operating_systems (id integer primary key, name text collate nocase, release_id text collate nocase, major_version text, minor_version text,
    label_version text collate nocase, codename text collate nocase, channel text collate nocase, eol_date datetime, eoas_date datetime);
  create table operating_system_specifier_overrides (alias text collate nocase, version text, version_pattern text, codename text, channel text,
    replacement text, replacement_major_version text, replacement_minor_version text, replacement_label_version text,
    replacement_channel text, rolling numeric, applicable_client_db_schemas text);
  create table affected_package_handles (id integer primary key, vulnerability_id integer not null, operating_system_id integer, package_id integer, blob_id integer);
  create table unaffected_package_handles (id integer primary key, vulnerability_id integer not null, operating_system_id integer, package_id integer, blob_id integer);
  create table cpes (id integer primary key, part text not null, vendor text, product text not null, edition text, language text,
    software_edition text, target_hardware text, target_software text, other text);
  create table package_cpes (package_id integer, cpe_id integer, primary key (package_id, cpe_id));
  create table affected_cpe_handles (id integer primary key, vulnerability_id integer not null, cpe_id integer, blob_id integer);
  create table unaffected_cpe_handles (id integer primary key, vulnerability_id integer not null, cpe_id integer, blob_id integer);
  create table known_exploited_vulnerability_handles (id integer primary key, cve text not null collate nocase, blob_id integer);
  create table epss_metadata (date datetime not null);
  create table epss_handles (id integer primary key, cve text not null collate nocase, epss real not null, percentile real not null);
  create table cwe_handles (id integer primary key, cve text not null collate nocase, cwe text not null, source text, type text);
  create table ssvc_handles (id integer primary key, cve text not null collate nocase, source text, role text, version text, timestamp datetime,
    exploitation text, automatable text, technical_impact text);
`;

/**
 * Makes a database with `advisories`. Each is exploited, and likely to be.
 * @param {string} folder for what it is made from
 * @param {readonly FixtureAdvisory[]} advisories
 * @param {{ builtAt?: number }} [options] `builtAt`: milliseconds since the epoch
 * @returns as `grype` downloads it: `latest.json` says where the archive is, which lies beside it under its name
 */
export async function makeGrypeArchive(folder, advisories, { builtAt = Date.now() } = {}) {
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'vulnerability.db');
  // It knows whole seconds.
  const built = `${new Date(builtAt).toISOString().slice(0, 19)}Z`;
  const database = new Database(path);
  try {
    database.exec(TABLES);
    database.prepare('insert into db_metadata values (?, 6, 1, 10)').run(built);
    database.prepare('insert into epss_metadata values (?)').run(built);
    for (const provider of ['github', 'debian'])
      database.prepare(`insert into providers values (?, '1', 'fixture', ?, 'xxh64:0')`).run(provider, built);
    database
      .prepare(`insert into operating_systems values (1, 'debian', 'debian', '12', '', '', 'bookworm', '', null, null)`)
      .run();
    for (const [index, advisory] of advisories.entries()) insert(database, index + 1, advisory, built);
  } finally {
    database.close();
  }
  const archive = tarball({ 'vulnerability.db': { body: await readFile(path) } });
  await rm(path);
  const name = 'vulnerability-db_v6.1.10.tar.gz';
  const checksum = `sha256:${createHash('sha256').update(archive).digest('hex')}`;
  const latest = { status: 'active', schemaVersion: 'v6.1.10', built, path: name, checksum };
  return { name, archive, latest: JSON.stringify(latest) };
}

/**
 * @param {Database.Database} database
 * @param {number} id
 * @param {FixtureAdvisory} advisory
 * @param {string} date
 */
function insert(database, id, { id: name, name: of, ecosystem, vulnerable, release, fixed }, date) {
  const [type, provider] =
    release === undefined ? LANGUAGES[ecosystem ?? 'npm'] : /** @type {const} */ (['deb', 'debian']);
  const [detail, range, exploited] = [3 * id, 3 * id + 1, 3 * id + 2];
  const vector = 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N';
  const blobs = /** @type {const} */ ([
    [
      detail,
      {
        id: name,
        description: `A fault of ${of}`,
        refs: [{ url: `https://advisories.example.com/${name}` }],
        severities: [
          { scheme: 'CHMLN', value: 'high', rank: 1 },
          { scheme: 'CVSS', value: { vector, version: '3.1' }, rank: 2 },
        ],
      },
    ],
    [
      range,
      {
        cves: [name],
        ranges: [
          {
            version: { type: release === undefined ? 'semver' : 'dpkg', constraint: vulnerable ?? `< ${fixed}` },
            fix: { version: fixed, state: 'fixed' },
          },
        ],
      },
    ],
    [exploited, { cve: name, date_added: date }],
  ]);
  for (const [blob, value] of blobs)
    database.prepare('insert into blobs values (?, ?)').run(blob, JSON.stringify(value));
  database
    .prepare(`insert into vulnerability_handles values (?, ?, 'active', ?, ?, null, ?, ?)`)
    .run(id, name, date, date, provider, detail);
  database.prepare('insert into packages values (?, ?, ?)').run(id, type, of);
  database
    .prepare('insert into affected_package_handles values (?, ?, ?, ?, ?)')
    .run(id, id, release === undefined ? null : 1, id, range);
  database.prepare('insert into known_exploited_vulnerability_handles values (?, ?, ?)').run(id, name, exploited);
  database.prepare('insert into epss_handles values (?, ?, 0.5, 0.9)').run(id, name);
}

/**
 * Puts a database with `advisories` where `grype` looks for it, by `grype` itself.
 * @param {string} command
 * @param {string} directory
 * @param {readonly FixtureAdvisory[]} advisories
 * @param {{ builtAt?: number }} [options]
 */
export async function writeGrypeDatabase(command, directory, advisories, options) {
  const made = `${directory}.made`;
  const { name, archive } = await makeGrypeArchive(made, advisories, options);
  await mkdir(directory, { recursive: true });
  await writeFile(join(made, name), archive);
  const env = { PATH: process.env.PATH, GRYPE_DB_CACHE_DIR: directory, GRYPE_CHECK_FOR_APP_UPDATE: 'false' };
  const result = await runCommand([command, 'db', 'import', join(made, name)], { cwd: made, env, timeout: 60_000 });
  if (result.code !== 0) throw new Error(`grype db import: ${outputOf(result)}`);
}
