import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '@entrepot/fixtures/run-command';

/** @import { CommandResult } from '@entrepot/fixtures/run-command' */

/** Whether this machine has Maven. */
export async function hasMaven() {
  const result = await runCommand(['mvn', '-v'], { cwd: '/', env: process.env, timeout: 60_000 }).catch(
    () => undefined,
  );
  return result?.code === 0;
}

/**
 * Maven with a home, settings and a local repository of its own.
 */
export class Maven {
  /** Its local repository. */
  repository;
  #folder;
  #program;
  #settings;

  /** @param {string} folder a new one @param {string} [program] default: the one of this machine */
  constructor(folder, program = 'mvn') {
    this.#folder = folder;
    this.#program = program;
    this.repository = join(folder, 'repository');
    this.#settings = join(folder, 'settings.xml');
  }

  /**
   * Writes the settings.
   * @param {{ mirror?: string, repositories?: readonly string[], server?: { username: string, password: string } }} options `mirror` stands
   *   for all repositories; `repositories` are asked besides the one that Maven has
   */
  async open({ mirror, repositories = [], server }) {
    await mkdir(this.repository, { recursive: true });
    const ids = ['mirror', ...repositories.map((_, index) => `own-${index}`), 'deployed'];
    const servers = ids.map(
      (id) =>
        `<server><id>${id}</id><username>${server?.username}</username><password>${server?.password}</password></server>`,
    );
    const mirrors =
      mirror === undefined ? '' : `<mirror><id>mirror</id><mirrorOf>*,!own-0</mirrorOf><url>${mirror}</url></mirror>`;
    const strict = (/** @type {string} */ kind) =>
      `<${kind}><enabled>true</enabled><updatePolicy>always</updatePolicy><checksumPolicy>fail</checksumPolicy></${kind}>`;
    const listed = repositories.map(
      (url, index) =>
        `<repository><id>own-${index}</id><url>${url}</url>${strict('releases')}${strict('snapshots')}</repository>`,
    );
    await writeFile(
      this.#settings,
      `<settings>
  <localRepository>${this.repository}</localRepository>
  <servers>${server === undefined ? '' : servers.join('')}</servers>
  <mirrors>${mirrors}</mirrors>
  <profiles><profile><id>p</id><activation><activeByDefault>true</activeByDefault></activation>
    <repositories>${listed.join('')}</repositories>
    <pluginRepositories>${listed.join('').replaceAll('repository>', 'pluginRepository>')}</pluginRepositories>
  </profile></profiles>
</settings>
`,
    );
    return this;
  }

  /**
   * Runs `mvn` in a folder.
   * @param {string} cwd @param {readonly string[]} args @returns {Promise<CommandResult>}
   */
  async run(cwd, args, timeout = 300_000) {
    // Without what the machine has set up for its own Maven.
    const { MAVEN_ARGS: _args, MAVEN_OPTS: _options, ...environment } = process.env;
    const env = { ...environment, HOME: this.#folder };
    return await runCommand([this.#program, '-B', '-s', this.#settings, '--strict-checksums', ...args], {
      cwd,
      env,
      timeout,
    });
  }
}
