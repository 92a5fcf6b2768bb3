import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Origin } from '@entrepot/fixtures/origin';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';

/**
 * One version of a gem.
 * @typedef {object} GemVersion
 * @property {string} name
 * @property {string} version
 * @property {string} publishedAt ISO 8601
 * @property {boolean} [isDated] whether the list of versions has its date; else the API has it
 * @property {Readonly<Record<string, string>>} [dependencies] requirements, by name
 */

/** A server of gems that the real `gem` built: the compact index, gems, specifications, and dates. */
export class GemServer extends Origin {
  #folder;
  #env;
  /** @type {(GemVersion & { sum: string })[]} */
  #gems = [];

  /** @param {string} folder @param {NodeJS.ProcessEnv} env of `gem` */
  constructor(folder, env) {
    super(async (request, response) => {
      const [path = ''] = (request.url ?? '').slice(1).split('?');
      const found = this.#document(path) ?? (await readFile(join(folder, path)).catch(() => undefined));
      if (found === undefined) return response.writeHead(404).end('not found');
      const mediaType = path.endsWith('.json') ? 'application/json' : 'text/plain; charset=utf-8';
      const type = typeof found === 'string' ? mediaType : 'application/octet-stream';
      return response.writeHead(200, { 'content-type': type }).end(found);
    });
    this.#folder = folder;
    this.#env = env;
  }

  /** Builds gems and publishes them. @param {readonly GemVersion[]} gems */
  async publish(gems) {
    await mkdir(join(this.#folder, 'gems'), { recursive: true });
    for (const gem of gems) {
      const file = await buildGem(join(this.#folder, 'gems'), gem, this.#env);
      this.#gems.push({
        ...gem,
        sum: createHash('sha256')
          .update(await readFile(file))
          .digest('hex'),
      });
    }
    await run(['gem', 'generate_index', '--directory', this.#folder], this.#folder, this.#env);
  }

  /** @param {string} path */
  #document(path) {
    const names = [...new Set(this.#gems.map(({ name }) => name))];
    if (path === 'names') return `---\n${names.join('\n')}\n`;
    if (path === 'versions') {
      // A line for each version that was published, as the public index grows within a month.
      const lines = this.#gems.map(({ name, version }, at) => `${name} ${version} ${md5(this.#info(name, at + 1))}\n`);
      return `created_at: 2026-01-01T00:00:00Z\n---\n${lines.join('')}`;
    }
    const [, name] = /^(?:info\/|api\/v1\/versions\/)([\w-]+?)(?:\.json)?$/.exec(path) ?? [];
    if (name === undefined || !names.includes(name)) return undefined;
    if (path.startsWith('info/')) return this.#info(name, this.#gems.length);
    const versions = this.#gems.filter((gem) => gem.name === name);
    return JSON.stringify(
      versions.map(({ version, publishedAt }) => ({ number: version, platform: 'ruby', created_at: publishedAt })),
    );
  }

  /** The list of versions of a gem among the first `count` of all. @param {string} name @param {number} count */
  #info(name, count) {
    const lines = this.#gems.slice(0, count).filter((gem) => gem.name === name);
    const printed = lines.map(({ version, sum, publishedAt, isDated = true, dependencies = {} }) => {
      const needed = Object.entries(dependencies).map(([other, requirement]) => `${other}:${requirement}`);
      return `${version} ${needed.join(',')}|checksum:${sum}${isDated ? `,created_at:${publishedAt}` : ''}\n`;
    });
    return `---\n${printed.join('')}`;
  }
}

/**
 * Builds a gem whose code is a constant with its version.
 * @param {string} folder @param {GemVersion} gem @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string>} the file
 */
export async function buildGem(folder, { name, version, dependencies = {} }, env) {
  const source = join(folder, '..', `source-${name}-${version}`);
  await mkdir(join(source, 'lib'), { recursive: true });
  await writeFile(join(source, 'lib', `${name}.rb`), `${name.toUpperCase()} = '${version}'\n`);
  const needed = Object.entries(dependencies).map(([other, rule]) => `  s.add_dependency '${other}', '${rule}'\n`);
  await writeFile(
    join(source, 'gemspec'),
    `Gem::Specification.new do |s|
  s.name = '${name}'
  s.version = '${version}'
  s.summary = s.description = 'A fixture'
  s.authors = ['Entrepot']
  s.homepage = 'https://gems.example.com'
  s.license = 'MIT'
  s.required_ruby_version = '>= 2.5'
  s.files = ['lib/${name}.rb']
${needed.join('')}end\n`,
  );
  const file = join(folder, `${name}-${version}.gem`);
  await run(['gem', 'build', 'gemspec', '--output', file], source, env);
  return file;
}

/** @param {readonly string[]} command @param {string} cwd @param {NodeJS.ProcessEnv} env */
async function run(command, cwd, env) {
  const result = await runCommand(command, { cwd, env, timeout: 60_000 });
  if (result.code !== 0) throw new Error(`${command.join(' ')} failed: ${outputOf(result)}`);
}

/** @param {string} text */
function md5(text) {
  return createHash('md5').update(text).digest('hex');
}
