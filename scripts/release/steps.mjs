/** Steps of a check, each of which is counted and timed. The first that fails ends the check. */
export class Steps {
  #passed = 0;
  #failed = 0;

  /**
   * @template T
   * @param {string} name
   * @param {() => Promise<T> | T} work
   * @returns {Promise<T>}
   */
  async step(name, work) {
    const started = performance.now();
    try {
      const result = await work();
      this.#passed += 1;
      process.stdout.write(`ok ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)\n`);
      return result;
    } catch (error) {
      this.#failed += 1;
      process.stdout.write(`not ok ${name}\n${error instanceof Error ? error.message : String(error)}\n`);
      throw error;
    }
  }

  /** Says a figure. @param {string} text */
  note(text) {
    process.stdout.write(`   ${text}\n`);
  }

  /**
   * Prints the counts, and sets the exit code.
   * @param {unknown} [error] that ended the check, also between two steps
   */
  end(error) {
    if (error !== undefined && this.#failed === 0) {
      this.#failed = 1;
      process.stdout.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    }
    process.stdout.write(`${this.#passed} passed, ${this.#failed} failed\n`);
    process.exitCode = this.#failed === 0 ? 0 : 1;
  }
}

/**
 * @param {boolean} condition
 * @param {string} message
 * @returns {asserts condition}
 */
export function expect(condition, message) {
  if (!condition) throw new Error(message);
}
