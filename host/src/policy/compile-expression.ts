import { Environment, type ASTNode } from '@marcbachmann/cel-js';
import { FACT_NAMES, type FactName } from '@entrepot/core';
import type { ExpressionScope } from '@entrepot/core/engine';

/** The longest expression, in characters. */
const MAX_LENGTH = 2_000;
/** The most elements of any list that an expression sees. A comprehension takes time for each. */
const MAX_ELEMENTS = 500;
const LIMITS = { maxAstNodes: 300, maxDepth: 24, maxListElements: 100, maxMapEntries: 20, maxCallArguments: 10 };

/** The most comprehensions in an expression. Each may double its input. */
const MAX_COMPREHENSIONS = 8;

const COMPREHENSIONS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);

/** The variables of an expression besides the facts: the other keys of `ExpressionScope`, all of them. */
const VARIABLES = {
  purl: true,
  repository: true,
  known: true,
  findings: true,
  size: true,
} as const satisfies Record<Exclude<keyof ExpressionScope, FactName>, true>;

const environment = new Environment({ limits: LIMITS, homogeneousAggregateLiterals: false });
for (const name of [...Object.keys(VARIABLES), ...FACT_NAMES]) environment.registerVariable(name, 'dyn');

/**
 * Compiles a CEL expression (github.com/google/cel-spec) over an `ExpressionScope`. The library has no bound on the cost of an
 * evaluation, so what could cost much cannot be written: comprehensions within each other, and regular expressions, which
 * backtrack for as long as the text that an upstream chose makes them.
 * @throws Error when it does not parse, is too large, or gives no boolean
 */
export function compileExpression(text: string): (scope: ExpressionScope) => boolean {
  if (text.length > MAX_LENGTH) throw new Error(`expected at most ${MAX_LENGTH} characters, found ${text.length}`);
  const parsed = attempt(() => environment.parse(text));
  refuseCostly(parsed.ast);
  const { valid, type, error } = attempt(() => parsed.check());
  if (!valid) throw new Error(firstLine(error));
  if (type !== 'bool' && type !== 'dyn') throw new Error(`expected an expression that is true or false, found ${type}`);
  return (scope) => {
    const result: unknown = parsed(bounded(scope));
    if (typeof result !== 'boolean') throw new Error(`expected true or false, found ${typeof result}`);
    return result;
  };
}

function refuseCostly(root: ASTNode): void {
  let comprehensions = 0;
  look(root, false);

  function look(node: ASTNode, within: boolean): void {
    const name = node.op === 'rcall' || node.op === 'call' ? node.args[0] : undefined;
    if (name === 'matches') throw new Error('expected startsWith, endsWith or contains; matches is not supported');
    if (node.op !== 'rcall' || !COMPREHENSIONS.has(name as string)) {
      for (const child of childrenOf(node.args)) look(child, within);
      return;
    }
    comprehensions += 1;
    if (within) throw new Error(`expected no ${name} within another one of ${[...COMPREHENSIONS].join(', ')}`);
    if (comprehensions > MAX_COMPREHENSIONS)
      throw new Error(`expected at most ${MAX_COMPREHENSIONS} comprehensions such as ${name}`);
    const [, receiver, operands] = node.args;
    look(receiver, within);
    for (const operand of operands) look(operand, true);
  }
}

/** The nodes in the operands of one, which are nodes, lists of nodes, and texts and values. */
function childrenOf(operands: unknown): ASTNode[] {
  if (Array.isArray(operands)) return operands.flatMap(childrenOf);
  return typeof operands === 'object' && operands !== null && 'op' in operands ? [operands as ASTNode] : [];
}

/** The same without what makes its lists too long. */
function bounded(scope: ExpressionScope): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(scope)) {
    shown[name] = Array.isArray(value) && value.length > MAX_ELEMENTS ? value.slice(0, MAX_ELEMENTS) : value;
  }
  return shown;
}

function attempt<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Error(firstLine(error), { cause: error });
  }
}

/** The library draws the place below its message. */
function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] as string;
}
