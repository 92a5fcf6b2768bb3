import { runInNewContext } from 'node:vm';
import { check } from 'recheck';
import { ALLOWED } from './allowed-regular-expressions.mjs';
import { findExpressions } from './regular-expressions.mjs';

/** @import { Expression } from './regular-expressions.mjs' */

/**
 * Fails for a regular expression that may take longer than its input is long. One that takes a power of it passes when it is in
 * the list with the bound of its input; one that doubles with each character never does.
 */
const CONCURRENCY = 2;
/** Long enough that a loaded machine does not fail for it. */
const TIMEOUT = 600_000;
/** Attacks have some 100,000 characters: linear ones take a few milliseconds, others seconds. */
const SLOW = 300;

const { expressions, made } = findExpressions(new URL('..', import.meta.url).pathname);
/** @type {string[]} */
const problems = made.map((place) => `${place}: expected a literal, found an expression that is made at run time`);
/** @type {Map<string, Expression[]>} */
const byText = new Map();
for (const expression of expressions) {
  const text = `/${expression.source}/${expression.flags}`;
  byText.set(text, [...(byText.get(text) ?? []), expression]);
}
for (const text of Object.keys(ALLOWED)) {
  if (!byText.has(text)) problems.push(`allowed-regular-expressions.mjs: ${text} is nowhere in the source`);
}

const queue = [...byText];
await Promise.all(Array.from({ length: CONCURRENCY }, checkQueue));
for (const problem of problems.sort()) process.stdout.write(`${problem}\n`);
process.stdout.write(`${byText.size} regular expressions, ${problems.length} problems\n`);
process.exitCode = problems.length === 0 ? 0 : 1;

async function checkQueue() {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const [text, [first]] = /** @type {[string, [Expression]]} */ (next);
    const result = await check(first.source, first.flags, { timeout: TIMEOUT });
    const isAllowed = Object.hasOwn(ALLOWED, text);
    // The search for an attack is bounded by time: an exception that was needed may not be on another machine.
    if (result.status === 'safe') continue;
    if (result.status === 'unknown') {
      problems.push(`${first.place}: ${text} could not be judged: ${result.error.kind}`);
    } else if (isAllowed && result.complexity.type === 'polynomial') {
      continue;
    } else if (!result.complexity.isFuzz || isSlow(first, result.attack.string)) {
      problems.push(`${first.place}: ${text} is ${result.complexity.summary}, for example on ${result.attack.pattern}`);
    }
  }
}

/**
 * Measures an attack that the fuzzer reports. It may be a false alarm: the fuzzer's engine counts steps that the real one
 * does not take.
 * @param {Expression} expression
 * @param {string} attack
 */
function isSlow({ source, flags }, attack) {
  const started = performance.now();
  try {
    runInNewContext('new RegExp(source, flags).test(attack)', { source, flags, attack }, { timeout: 20 * SLOW });
  } catch {
    return true;
  }
  return performance.now() - started > SLOW;
}
