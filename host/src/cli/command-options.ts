import type { Command } from 'commander';

export const FILE_OPTION = [
  '-c, --config <file>',
  'configuration file (default: $ENTREPOT_CONFIG, else ./entrepot.yaml, else built-in defaults)',
] as const;

const SERVER_OPTION = [
  '-s, --server <url>',
  'URL of the server (default: the listen address of the configuration)',
] as const;
const USER_OPTION = [
  '-u, --user <name>',
  'log in as this administrator, with the password from standard input (default: the token of the configuration)',
] as const;
export const BY_OPTION = [
  '--by <name>',
  'your name, where the server does not know it (default: the user of this machine)',
] as const;
export const JSON_OPTION = ['--json', 'as JSON'] as const;

/**
 * Runs the function `name` of a module with `first`, the arguments of the command line, its options and the context. The module
 * is loaded then: `version` need not load a server.
 */
export type Run = <Name extends string>(
  load: () => Promise<Record<Name, (...given: never[]) => Promise<number>>>,
  name: Name,
  ...first: readonly string[]
) => (...given: readonly unknown[]) => Promise<void>;

/** Adds a command. */
export function add(parent: Command, words: string, description: string): Command {
  return parent.command(words).description(description);
}

/** Adds a command that talks to a running server. */
export function addForServer(parent: Command, words: string, description: string): Command {
  return add(parent, words, description)
    .option(...FILE_OPTION)
    .option(...SERVER_OPTION)
    .option(...USER_OPTION);
}
