import { EntrepotError } from '@entrepot/core';

/** One problem of the configuration. */
export interface ConfigurationProblem {
  /** The dotted key, the environment variable, or `file:line:column`. `''` for the configuration as a whole. */
  readonly path: string;
  /** States what was expected and what was found. Holds no value of the configuration that could be a secret. */
  readonly message: string;
}

/** The configuration is invalid. Lists every problem, not just the first one. */
export class ConfigurationError extends EntrepotError {
  // Without this, `instanceof ConfigurationError` would be inherited and true for every EntrepotError.
  static override [Symbol.hasInstance](value: unknown): boolean {
    return EntrepotError[Symbol.hasInstance](value) && Array.isArray((value as ConfigurationError).problems);
  }

  readonly problems: readonly ConfigurationProblem[];

  constructor(problems: readonly ConfigurationProblem[]) {
    super('configuration', problems.map(printProblem).join('\n'));
    this.name = 'ConfigurationError';
    this.problems = problems;
  }
}

/** `path: message`, on one line. */
export function printProblem({ path, message }: ConfigurationProblem): string {
  const line = path === '' ? message : `${path}: ${message}`;
  return line.replace(/(?<!\s)\s*\n\s*/g, ' ');
}
