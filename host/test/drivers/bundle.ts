import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const HOST = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Makes a program for `node` of a TypeScript file of these tests, so that a test can run it in a process of its own and
 * kill it. It stands below the workspace, where its packages are found.
 * @returns the path of the program, and what removes it.
 */
export async function bundleProgram(entry: URL): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const directory = join(HOST, 'node_modules', '.cache', `program-${randomUUID()}`);
  await build({
    configFile: false,
    logLevel: 'error',
    resolve: {
      alias: [
        { find: /^@entrepot\/core$/, replacement: join(HOST, '../core/src/index.ts') },
        { find: /^@entrepot\/core\/(engine|testing)$/, replacement: join(HOST, '../core/src/$1/index.ts') },
      ],
    },
    build: {
      ssr: fileURLToPath(entry),
      target: 'node22',
      outDir: directory,
      minify: false,
      rollupOptions: { output: { entryFileNames: 'program.mjs' } },
    },
  });
  return {
    path: join(directory, 'program.mjs'),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
