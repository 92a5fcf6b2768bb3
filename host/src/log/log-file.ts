import { closeSync, fstatSync, mkdirSync, openSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '@entrepot/core';
import { ConfigurationError } from '../config/configuration-error.js';

/** Names of callers and their addresses are not for everybody on the machine. */
const MODE = 0o640;
/** The time between two looks whether the file is still where it was, in milliseconds. */
const LOOK_AFTER = 1000;

/**
 * Opens a file for lines. Each batch is appended in one write, so several processes may have the same file, and one that is emptied
 * goes on at its beginning. One that was moved away is begun anew within a second: whoever rotates it need not tell anybody.
 * @returns appends to it. A failure is told once on standard error until it works again, and never thrown: serving goes on
 * @throws ConfigurationError for a file that cannot be written to
 */
export function openLogFile(file: string, now: () => number = () => performance.now()): (batch: string) => void {
  let opened = openFirst(file);
  let lookedAt = now();
  let hasFailed = false;

  /** Follows the name to another file. The one that is open stays where there is no other one to be had. */
  function look(): void {
    lookedAt = now();
    if (isSame(opened, file)) return;
    const next = open(file);
    closeSync(opened);
    opened = next;
  }

  function attempt(work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      if (!hasFailed) process.stderr.write(`the log cannot be written to ${file}: ${messageOf(error)}\n`);
      return false;
    }
  }

  return (batch) => {
    const isFollowed = attempt(() => {
      if (now() - lookedAt >= LOOK_AFTER) look();
    });
    const isWritten = attempt(() => {
      const bytes = Buffer.from(batch);
      for (let at = 0; at < bytes.length;) at += writeSync(opened, bytes, at);
    });
    hasFailed = !isFollowed || !isWritten;
  };
}

function openFirst(file: string): number {
  try {
    return open(file);
  } catch (error) {
    const message = `expected a file that can be written to; found that it cannot: ${messageOf(error)}`;
    throw new ConfigurationError([{ path: 'log.file', message }]);
  }
}

function open(file: string): number {
  mkdirSync(dirname(file), { recursive: true });
  return openSync(file, 'a', MODE);
}

function isSame(opened: number, file: string): boolean {
  const found = statSync(file, { throwIfNoEntry: false });
  const own = fstatSync(opened);
  return found !== undefined && found.ino === own.ino && found.dev === own.dev;
}
