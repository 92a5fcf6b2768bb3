import { lateSince } from './loop-delay.mjs';

/** Counts what passed and what failed, and prints one line for each. */
export class Tally {
  passed = 0;
  failed = 0;
  /** @type {string[]} */
  failures = [];

  /**
   * Runs one named check. A failure is printed and counted; the checks after it still run.
   * @param {string} name
   * @param {() => unknown} check throws, or rejects, when what it looks at is wrong
   * @returns {Promise<boolean>} whether it passed
   */
  async check(name, check) {
    const started = performance.now();
    try {
      await check();
    } catch (error) {
      this.failed += 1;
      this.failures.push(name);
      print(`not ok ${name}`);
      print(indent(error instanceof Error ? failureText(error) : String(error)));
      for (const text of lateSince(started)) print(indent(text));
      return false;
    }
    this.passed += 1;
    print(`ok ${name} (${Math.round(performance.now() - started)} ms)`);
    return true;
  }

  /** The last line of a run. */
  summary() {
    return `${this.passed} passed, ${this.failed} failed`;
  }
}

/**
 * A line that informs and is not a check: a measured figure, for example.
 * @param {string} text
 */
export function note(text) {
  print(`# ${text}`);
}

/** @param {string} text */
function print(text) {
  process.stdout.write(`${text}\n`);
}

/** @param {Error} error */
function failureText(error) {
  const text = error.name === 'AssertionError' ? error.message : (error.stack ?? error.message);
  return text.length > 6000 ? `${text.slice(0, 6000)}\n…` : text;
}

/** @param {string} text */
function indent(text) {
  return text.replaceAll(/^/gm, '    ');
}
