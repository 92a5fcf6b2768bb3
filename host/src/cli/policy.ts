import path from 'node:path';
import { PRESET_NAMES, PRESETS, resolvePolicy, type PresetName } from '@entrepot/core/engine';
import { stringify } from 'yaml';
import { ConfigurationError } from '../config/configuration-error.js';
import { loadConfig } from '../config/load.js';
import { policiesOf, readConfiguredPolicy, readPolicy } from '../policy/policy-document.js';
import { configOptions, EXIT, type CommandContext } from './context.js';

/** Prints a preset, or the policy of the configuration with its preset in it. */
export async function policyShow(
  preset: string | undefined,
  { config: file }: { readonly config?: string },
  context: CommandContext,
): Promise<number> {
  if (preset !== undefined) {
    if (!(PRESET_NAMES as readonly string[]).includes(preset)) {
      context.writeError(`entrepot: expected a preset (${PRESET_NAMES.join(', ')}), found ${JSON.stringify(preset)}`);
      return EXIT.usage;
    }
    context.write(stringify(PRESETS[preset as PresetName]).trimEnd());
    return EXIT.ok;
  }
  const { config } = await loadConfig(configOptions(file, context));
  if (config.policy === undefined) {
    context.write('# there is no policy: every version is allowed');
    return EXIT.ok;
  }
  const { document, problems } = readConfiguredPolicy(config.policy, policiesOf(config.repositories ?? {}));
  if (problems !== undefined) throw new ConfigurationError(problems);
  context.write(stringify(resolvePolicy(document)).trimEnd());
  return EXIT.ok;
}

/** Says what is wrong with a policy file. */
export async function policyCheck(file: string, _options: object, context: CommandContext): Promise<number> {
  const { problems } = readPolicy(path.resolve(context.cwd, file));
  if (problems !== undefined) throw new ConfigurationError(problems);
  context.write('policy is valid');
  return EXIT.ok;
}
