#!/usr/bin/env node
// The entry of the program. It imports nothing by itself: an older Node would fail on what the rest imports before it could
// say why.

/** The oldest Node that runs this, as `engines` of the package says. */
const OLDEST = [22, 19] as const;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
  const found = process.versions.node;
  process.stderr.write(
    `Entrepot needs Node ${OLDEST.join('.')} or newer, found ${found}: install a maintained version of Node\n`,
  );
  process.exit(1);
}
await import('./command-line.js');
