import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { PUBLISHED } from './published.mjs';
import { setUp } from './setup.mjs';

// What is published must be usable as it is published: exports that resolve, types that match, files that are in the
// package. `attw` looks at it as an ES module, which is all that it is.
setUp();

let failed = 0;

for (const folder of PUBLISHED) {
  const lint = run('node_modules/publint/src/cli.js', [folder, '--strict']);
  const types = run('node_modules/@arethetypeswrong/cli/dist/index.js', ['--pack', folder, '--profile', 'esm-only']);
  const faults = contentFaults(folder);
  const ok = lint.status === 0 && types.status === 0 && faults.length === 0;
  if (!ok) {
    failed += 1;
    process.stdout.write(`${lint.stdout}${lint.stderr}${types.stdout}${types.stderr}${faults.join('\n')}\n`);
  }
  process.stdout.write(`${ok ? 'ok' : 'not ok'} ${folder}\n`);
}
process.exitCode = failed === 0 ? 0 : 1;

/**
 * Finds files that a package lacks, or has and should not.
 * @param {string} folder
 */
function contentFaults(folder) {
  const { stdout } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: folder,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  /** @type {string[]} */
  const files = JSON.parse(stdout)[0].files.map((/** @type {{ path: string }} */ { path }) => path);
  const manifest = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
  const { publishConfig, keywords = [], bin = {} } = manifest;
  /** @type {string[]} */
  const programs = Object.values(bin);
  const licence = readFileSync('LICENSE', 'utf8');
  return [
    ...['README.md', 'LICENSE', 'dist/index.js'].filter((name) => !files.includes(name)).map((name) => `no ${name}`),
    ...(manifest.files.includes('CHANGELOG.md') ? [] : ['files: expected CHANGELOG.md, which a release writes']),
    ...(keywords.includes('entrepot') ? [] : ['keywords: expected entrepot']),
    ...programs.flatMap((name) => programFaults(folder, name, files)),
    ...(publishConfig?.access === 'public' ? [] : ['publishConfig.access: expected public']),
    ...(readFileSync(`${folder}/LICENSE`, 'utf8') === licence ? [] : ['LICENSE: expected that of the repository']),
    ...files.filter((name) => namesSourceMap(folder, name)).map((name) => `${name}: names a source map`),
  ];
}

/**
 * Finds what keeps a program from running once it is installed.
 * @param {string} folder @param {string} name @param {readonly string[]} files that are packed
 */
function programFaults(folder, name, files) {
  const path = name.replace(/^\.\//, '');
  if (!files.includes(path)) return [`no ${path}, which is a program`];
  if (!readFileSync(`${folder}/${path}`, 'utf8').startsWith('#!/usr/bin/env node\n'))
    return [`${path}: expected #!/usr/bin/env node in its first line`];
  const { status, stderr } = run(`${folder}/${path}`, ['--help']);
  return status === 0 ? [] : [`${path} --help: ended with ${status}: ${stderr}`];
}

/**
 * Whether a built file names a map, which is not in the package. What an earlier source has left in `dist` does not count.
 * @param {string} folder @param {string} name
 */
function namesSourceMap(folder, name) {
  const source = `${folder}/${name.replace(/^dist\/(.*)\.js$/, 'src/$1.ts')}`;
  if (!name.endsWith('.js') || !existsSync(source)) return false;
  return readFileSync(`${folder}/${name}`, 'utf8').includes('\n//# sourceMappingURL=');
}

/** @param {string} program @param {readonly string[]} args */
function run(program, args) {
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
}
