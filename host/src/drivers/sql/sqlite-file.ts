import { resolve } from 'node:path';
import type { DatabaseSync, DatabaseSyncOptions } from 'node:sqlite';
import { EntrepotError } from '@entrepot/core';

/**
 * Opens a file of SQLite with the binding that is part of Node; makes it where there is none, unless it is to be read only.
 * Foreign keys hold: each connection has to ask for that.
 * @throws EntrepotError `configuration` when this Node was built without SQLite; an error with an `errcode` when the file cannot be opened
 */
export function openFile(path: string, options: Pick<DatabaseSyncOptions, 'readOnly' | 'timeout'>): DatabaseSync {
  const { DatabaseSync } = loadBinding();
  // Resolved, for SQLite takes `:memory:` and `file:…` for something else than a file.
  return new DatabaseSync(resolve(path), { ...options, enableForeignKeyConstraints: true });
}

/** Loads the binding without the warning of Node 22 that it is experimental: nobody who runs a server can act on that. */
function loadBinding(): typeof import('node:sqlite') {
  const { emitWarning } = process;
  process.emitWarning = (warning: string | Error, ...options: unknown[]) => {
    if (options[0] !== 'ExperimentalWarning') Reflect.apply(emitWarning, process, [warning, ...options]);
  };
  try {
    const binding = process.getBuiltinModule('node:sqlite') as typeof import('node:sqlite') | undefined;
    if (binding !== undefined) return binding;
  } finally {
    process.emitWarning = emitWarning;
  }
  throw new EntrepotError(
    'configuration',
    `expected a Node with SQLite, found ${process.version} without; install one of nodejs.org`,
  );
}
