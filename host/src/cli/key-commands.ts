import type { Command } from 'commander';
import { add, addForServer, BY_OPTION, JSON_OPTION, type Run } from './command-options.js';

const SCOPE_OPTION = [
  '--scope <right:repositories:names...>',
  'what it may do: read, write or admin, of repositories and of names in them, with commas between; names left out: all',
] as const;

/** Commands for the keys of callers, and for the audit log. */
export function keyCommands(program: Command, run: Run): void {
  const load = () => import('./keys.js');
  const keys = add(program, 'keys', 'make and revoke keys of clients').exitOverride();
  addForServer(keys, 'create <name>', 'make a key, and print its secret: once, for it is stored nowhere')
    .requiredOption(...SCOPE_OPTION)
    .option('--expires <when>', 'a date, or a duration such as 90d (default: never)')
    .option('--note <text>', 'what it is for')
    .option(...BY_OPTION)
    .option(...JSON_OPTION)
    .action(run(load, 'createKey'));
  addForServer(keys, 'list', 'list keys with their scopes, end and last use')
    .option(...JSON_OPTION)
    .action(run(load, 'listKeys'));
  addForServer(keys, 'limit <key>', 'change what a key may do, or when it ends, by its name or its id')
    .option(...SCOPE_OPTION)
    .option('--expires <when>', 'a date, a duration such as 90d, or never')
    .option(...JSON_OPTION)
    .action(run(load, 'limitKey'));
  addForServer(keys, 'revoke <key>', 'revoke a key, by its name or its id')
    .option(...JSON_OPTION)
    .action(run(load, 'revokeKey'));
  addForServer(program, 'audit', 'print who changed what, and who was refused, the newest first')
    .option('--kind <kind>', 'change or denial')
    .option('--event <event>', 'such as createKey or access-forbidden')
    .option('--actor <name>', 'of this user, or of key:<name>')
    .option('--address <address>', 'from this address')
    .option('--repository <name>', 'about this repository')
    .option('--since <when>', 'a date, or a duration such as 7d')
    .option('--until <when>', 'a date, or a duration such as 1d')
    .option('--limit <number>', 'the records that are printed (default: 100)')
    .option(...JSON_OPTION)
    .action(run(() => import('./audit.js'), 'audit'));
}
