import type { Guide } from '../create-host.js';

/** Shows the next steps after a start: the page, and one line for each client that one line can point here. */
export function guideText({ page, repositories }: Guide): string {
  const lines = repositories.flatMap(({ clients }) =>
    clients.flatMap(({ client, steps: [step, ...others] }) =>
      step?.kind === 'command' && others.length === 0 ? [[client, step.text] as const] : [],
    ),
  );
  const width = Math.max(0, ...lines.map(([client]) => client.length));
  const table = lines.map(([client, command]) => `  ${client.padEnd(width)}  ${command}`);
  return [
    '',
    page === undefined ? 'Entrepot is serving.' : `Entrepot is serving. All settings for each client: ${page}`,
    ...(table.length > 0 ? ['', 'Point a client here, for example:', '', ...table] : []),
    ...(repositories.length === 0
      ? ['', 'There is no repository yet: entrepot init writes a configuration to begin with.']
      : []),
    '',
    'Ctrl+C ends it.',
    '',
  ].join('\n');
}
