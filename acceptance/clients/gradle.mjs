import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '@entrepot/fixtures/run-command';

/** @import { CommandResult } from '@entrepot/fixtures/run-command' */

/** The version of Gradle on this machine. `undefined`: it has none. @returns {Promise<string | undefined>} */
export async function gradleVersion() {
  const result = await runCommand(['gradle', '--version'], { cwd: '/', env: process.env, timeout: 120_000 }).catch(
    () => undefined,
  );
  return /^Gradle ([\d.]+)$/m.exec(result?.stdout ?? '')?.[1];
}

/**
 * Runs tasks of Gradle in a new project, with a new home and no daemon.
 * @param {string} folder a new one
 * @param {{ build: string, files?: Readonly<Record<string, string | Buffer>>, tasks: readonly string[] }} project `build`: its `build.gradle`
 * @returns {Promise<CommandResult>}
 */
export async function runGradle(folder, { build, files = {}, tasks }) {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'settings.gradle'), "rootProject.name = 'app'\n");
  await writeFile(join(folder, 'build.gradle'), build);
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  const home = join(folder, 'home');
  return await runCommand(['gradle', '--no-daemon', '--gradle-user-home', home, ...tasks], {
    cwd: folder,
    env: { ...process.env, HOME: home },
    timeout: 600_000,
  });
}
