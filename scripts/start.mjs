// `npm start`, and `npm start -- <command> …` for the other commands of `entrepot`: all of its set-up, then the program.
import { fileURLToPath } from 'node:url';
import { handOver } from './hand-over.mjs';
import { setUp } from './setup.mjs';

setUp();

const main = fileURLToPath(new URL('../deploy/npm/bin/entrepot.js', import.meta.url));
// Without a command it serves.
handOver(process.execPath, [main, ...process.argv.slice(2)]);
