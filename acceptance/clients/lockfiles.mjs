/**
 * Reads the integrity by `name@version` from each client's lockfile. Entries without an integrity (other platforms in
 * yarn 4) are left out.
 */

/** @param {string} text */
export function integrityOfNpmLock(text) {
  /** @type {Map<string, string>} */
  const found = new Map();
  for (const [path, entry] of Object.entries(JSON.parse(text).packages)) {
    if (path === '') continue;
    const name = entry.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    found.set(`${name}@${entry.version}`, entry.integrity ?? '');
  }
  return found;
}

/** @param {string} text */
export function integrityOfPnpmLock(text) {
  /** @type {Map<string, string>} */
  const found = new Map();
  const pattern = /^ {2}'?(?<id>@?[^'\s:]+@[^'\s:]+)'?:\n {4}resolution: \{(?<resolution>[^}]*)\}/gm;
  for (const { groups } of text.matchAll(pattern)) {
    const integrity = /integrity: (?<value>[^,}\s]+)/.exec(groups?.resolution ?? '')?.groups?.value;
    found.set(groups?.id ?? '', integrity ?? '');
  }
  return found;
}

/** @param {string} text */
export function integrityOfYarn1Lock(text) {
  /** @type {Map<string, string>} */
  const found = new Map();
  for (const block of text.split('\n\n')) {
    const name = /^"?(?<name>@?[^@"\s]+)@[^\n]*:$/m.exec(block)?.groups?.name;
    const version = /^ {2}version "(?<version>[^"]+)"$/m.exec(block)?.groups?.version;
    if (name === undefined || version === undefined) continue;
    found.set(`${name}@${version}`, /^ {2}integrity (?<value>\S+)$/m.exec(block)?.groups?.value ?? '');
  }
  return found;
}

/** @param {string} text */
export function integrityOfYarn4Lock(text) {
  /** @type {Map<string, string>} */
  const found = new Map();
  for (const block of text.split('\n\n')) {
    const resolution = /^ {2}resolution: "(?<name>@?[^@"]+)@npm:(?<version>[^":]+)/m.exec(block)?.groups;
    const checksum = /^ {2}checksum: (?<value>\S+)$/m.exec(block)?.groups?.value;
    if (resolution === undefined || checksum === undefined) continue;
    found.set(`${resolution.name}@${resolution.version}`, checksum);
  }
  return found;
}

/** @param {string} text */
export function integrityOfBunLock(text) {
  /** @type {Map<string, string>} */
  const found = new Map();
  // JSON but for its trailing commas.
  const { packages } = JSON.parse(text.replaceAll(/,(?=\s*[}\]])/g, ''));
  for (const [id, , , integrity] of Object.values(packages)) found.set(id, integrity ?? '');
  return found;
}
