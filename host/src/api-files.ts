import { errorStatuses, openApiOf } from './http/operations/openapi.js';
import { type Operation, TAGS } from './http/operations/operation.js';
import { OPERATIONS } from './operations.js';

const REGION = /(<!-- generated: operations -->\n)[^]*?(\n<!-- end of operations -->)/;

/** The callers of operations, as tables have them. */
const CALLERS: Readonly<Record<Operation['access'], string>> = {
  everybody: 'everybody',
  reader: 'readers',
  administrator: 'administrators',
  delegate: 'administrators, also of some repositories',
  metrics: '`metrics.token`',
};

/**
 * The files that are made from the operations of a server, by their path in the repository. A test compares them with what is there;
 * `scripts/generate-docs.mjs` writes them.
 * @param page docs/api.md as it is
 */
export function apiFiles(page: string): Readonly<Record<string, string>> {
  return {
    'host/openapi.json': `${JSON.stringify(openApiOf(OPERATIONS, '1'), undefined, 1)}\n`,
    'docs/api.md': page.replace(
      REGION,
      (_region, start: string, end: string) => `${start}\n${sections().join('\n\n')}\n${end}`,
    ),
  };
}

function sections(): readonly string[] {
  return Object.entries(TAGS).flatMap(([tag, about]) => {
    const own = OPERATIONS.filter((one) => one.tag === tag);
    return own.length === 0 ? [] : [`### ${about.replace(/\.$/, '')}\n\n${table(own)}`];
  });
}

function table(operations: readonly Operation[]): string {
  const rows = operations.map((one) => [
    `\`${one.method.toUpperCase()} ${one.path}\``,
    one.summary,
    CALLERS[one.access],
    Object.keys(one.replies).join(', '),
    errorStatuses(one)
      .filter((status) => !(status in one.replies))
      .join(', '),
  ]);
  return [['operation', 'does', 'for', 'replies', 'errors'], Array.from({ length: 5 }, () => '---'), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |`)
    .join('\n');
}
