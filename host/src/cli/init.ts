import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { printableUrl, type AnyDeclaredPlugin } from '@entrepot/core';
import { kindsOf } from '@entrepot/core/engine';
import { KNOWN_FORMATS } from '../config/known-packages.js';
import { loadPlugins } from '../plugins/load.js';
import { EXIT, type CommandContext } from './context.js';
import { initialConfiguration, type InitialRepository } from './initial-configuration.js';

/** Writes a commented configuration with what this machine's clients are set up with. `-` is standard output. */
export async function init(
  { output, force = false }: { readonly output: string; readonly force?: boolean },
  context: CommandContext,
): Promise<number> {
  const { cwd, distribution } = context;
  // Those that are not installed are no repositories yet.
  const formats = Object.values({ ...KNOWN_FORMATS, ...distribution?.formats });
  const { plugins } = await loadPlugins({ plugins: [], formats, folder: cwd, distribution });
  if (plugins.length === 0)
    context.writeError(
      'no format is installed, so that nothing can be served yet; npm install @entrepot/plugin-npm, for one',
    );
  const repositories: InitialRepository[] = [];
  for (const { plugin } of plugins) repositories.push(await initialRepository(plugin, context));
  const text = initialConfiguration(repositories);
  if (output === '-') {
    context.write(text.trimEnd());
    return EXIT.ok;
  }
  try {
    writeFileSync(path.resolve(context.cwd, output), text, { flag: force ? 'w' : 'wx', mode: 0o640 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'EEXIST' ? 'it exists; --force replaces it' : `it cannot be written (${code})`;
    context.writeError(`${output}: ${reason}`);
    return EXIT.failed;
  }
  context.write(`wrote ${output}; next: entrepot serve -c ${output}`);
  return EXIT.ok;
}

async function initialRepository(plugin: AnyDeclaredPlugin, context: CommandContext): Promise<InitialRepository> {
  const { id, clients } = plugin;
  const kinds = kindsOf(plugin);
  const empty: InitialRepository = { type: id, kinds, upstreams: [] };
  if (plugin.proxy === undefined || clients?.discoverUpstreams === undefined) return empty;
  try {
    const found = await clients.discoverUpstreams({ useClientCredentials: false });
    return { ...empty, upstreams: found.map((upstream) => ({ ...upstream, url: printableUrl(upstream.url) })) };
  } catch (error) {
    const reason = (error as Error).message;
    context.writeError(`${id}: the settings of its clients on this machine cannot be read: ${reason}`);
    return empty;
  }
}
