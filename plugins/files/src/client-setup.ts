import type { ClientSetup, ClientSetupContext } from '@entrepot/core';

/** Gives the commands that fetch files from a repository, and put them into a hosted one. */
export function clientSetup({
  baseUrl,
  repository,
  guarded: needsKey = false,
}: ClientSetupContext): readonly ClientSetup[] {
  const user = needsKey ? ' --user USER:PASSWORD' : '';
  const wget = needsKey ? ' --user=USER --password=PASSWORD' : '';
  const setup = (client: string, text: string): ClientSetup => ({
    client,
    steps: [{ kind: 'command', text, needsKey }],
  });
  const read = [
    setup('curl', `curl --fail --location --remote-name${user} ${baseUrl}/path/to/file`),
    setup('wget', `wget${wget} ${baseUrl}/path/to/file`),
  ];
  if (repository.kind === 'proxy') return read;
  return [...read, setup('curl (upload)', `curl --fail --upload-file ./file${user} ${baseUrl}/path/to/file`)];
}
