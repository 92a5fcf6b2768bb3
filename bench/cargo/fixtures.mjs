/** A registry of crates that depend on each other: sizes and numbers of versions are like those of the tree of a large program. */
import { createHash } from 'node:crypto';
import { indexPath } from '@entrepot/fixtures/cargo-crates';
import { tarGz } from '../lib/archive.mjs';
import { seededBytes } from '../lib/fixtures.mjs';

/** Crates of the tree. */
export const CRATES = 900;
/** A few have most of the versions: with the lengths of their lines that is 55 MB for all. */
const VERSIONS = [3, 8, 15, 25, 40, 60, 90, 140, 220, 400];
/** Kilobytes: half of all crates have less than 30. */
const SIZES = [3, 5, 9, 14, 20, 30, 45, 70, 110, 250];
/** Crates that the program itself names. */
const DIRECT = 10;
/** Crates that each other one names. */
const USED = 3;

function nameOf(at) {
  return `crate-${String(at).padStart(3, '0')}`;
}

/** The names of the crates that the program itself depends on. */
export function directNames() {
  return Array.from({ length: DIRECT }, (_, at) => nameOf(at));
}

/**
 * The registry, by its paths.
 * @returns `{ index, crates }`: bodies by their path below each
 */
export function benchRegistry(count = CRATES) {
  const index = new Map();
  const crates = new Map();
  for (let at = 0; at < count; at += 1) {
    const name = nameOf(at);
    const versions = VERSIONS[at % VERSIONS.length];
    const newest = `1.${versions - 1}.0`;
    const uses = usedBy(at, count);
    const archive = crateOf(name, newest, uses, SIZES[(at * 7) % SIZES.length] * 1000);
    const lines = Array.from({ length: versions }, (_, minor) => {
      const version = `1.${minor}.0`;
      return lineOf(name, version, uses, version === newest ? archive : Buffer.from(`${name}@${version}`));
    });
    index.set(indexPath(name), Buffer.from(lines.join('')));
    crates.set(`${name}/${newest}/download`, archive);
  }
  return { index, crates };
}

/** A tree of which every crate is reached, with a second way to some. */
function usedBy(at, count) {
  const below = Array.from({ length: USED }, (_, child) => DIRECT + at * USED + child);
  return [...below, at + 17].filter((other) => other < count).map(nameOf);
}

function crateOf(name, version, uses, size) {
  const dependencies = [...new Set(uses)].map((use) => `${use} = "1"\n`).join('');
  const manifest = `[package]\nname = "${name}"\nversion = "${version}"\nedition = "2021"\n\n[dependencies]\n${dependencies}`;
  return tarGz({
    [`${name}-${version}/Cargo.toml`]: Buffer.from(manifest),
    [`${name}-${version}/src/lib.rs`]: seededBytes(`${name}@${version}`, size),
  });
}

function lineOf(name, version, uses, archive) {
  const deps = [...new Set(uses)].map((use) => ({
    name: use,
    req: '^1',
    features: [],
    optional: false,
    default_features: true,
    target: null,
    kind: 'normal',
  }));
  const features = { default: ['std'], std: [], alloc: [], unstable: ['std', 'alloc'], 'no-panic': [] };
  const cksum = createHash('sha256').update(archive).digest('hex');
  const line = { name, vers: version, deps, cksum, features, yanked: false, pubtime: '2024-05-01T10:00:00Z' };
  return `${JSON.stringify({ ...line, rust_version: '1.70' })}\n`;
}
