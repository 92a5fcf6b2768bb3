import { createHash } from 'node:crypto';
import { zip } from './python-zip.mjs';
import { tarball } from './tar.mjs';

/**
 * @typedef {object} PythonFile
 * @property {string} project in its normal form
 * @property {string} version
 * @property {string} filename
 * @property {Buffer} bytes
 * @property {string} sha256
 * @property {string | undefined} metadata absent: there is no sidecar
 * @property {boolean | string} yanked
 * @property {string | undefined} requiresPython
 * @property {string} [uploaded] an instant; left out: years ago
 */

/** @typedef {{ name: string, form: 'json' | 'html', files: PythonFile[] }} PythonProject */

/** What the application needs. Each name is spelled in another way than its index does. */
export const REQUIREMENTS = ['Fixture.App'];
/** How large the large wheel is at the least, in bytes: above what is not passed through in parts. */
export const LARGE_WHEEL = 80 * 1024 * 1024;

/** Every project of the fixture index, with files that are made here. @returns {Map<string, PythonProject>} */
export function pythonProjects() {
  const files = [
    wheel('fixture-app', '1.0', {
      requires: [
        'Fixture_Lib.One>=1.0',
        'fixture-html',
        'fixture-sdist==1.0',
        'fixture-local==1.0+local.1',
        ...Array.from({ length: 20 }, (_, index) => `fixture-leaf-${index}`),
      ],
    }),
    wheel('fixture-lib-one', '1.0', {}),
    wheel('fixture-lib-one', '1.5', { requires: ['fixture-leaf-0>=1'] }),
    // A resolver that loses these marks takes one of them.
    wheel('fixture-lib-one', '2.0', { yanked: 'it "breaks" <everything>' }),
    wheel('fixture-lib-one', '3.0', { requiresPython: '>=99' }),
    wheel('fixture-html', '1.0', {}),
    wheel('fixture-html', '1.1', { requiresPython: '>=3.8,<4' }),
    wheel('fixture-html', '2.0', { yanked: true }),
    sdist('fixture-sdist', '1.0'),
    wheel('fixture-local', '1.0+local.1', { hasSidecar: false }),
    wheel('fixture-big', '1.0', { hasSidecar: false, size: LARGE_WHEEL, requires: ['fixture-leaf-1'] }),
    ...Array.from({ length: 20 }, (_, index) => wheel(`fixture-leaf-${index}`, `1.${index}`, {})),
  ];
  /** @type {Map<string, PythonProject>} */
  const projects = new Map();
  for (const file of files) {
    const form = file.project === 'fixture-html' ? 'html' : 'json';
    const project = projects.get(file.project) ?? { name: file.project, form, files: [] };
    project.files.push(file);
    projects.set(file.project, project);
  }
  return projects;
}

/** What `pip install -r` takes: everything that the application needs, with its hash. @param {Map<string, PythonProject>} projects */
export function hashedRequirements(projects) {
  const lines = [];
  for (const { name, files } of projects.values()) {
    if (name === 'fixture-big') continue;
    const usable = files.filter(({ yanked, requiresPython }) => yanked === false && requiresPython !== '>=99');
    const chosen = usable.at(-1);
    if (chosen !== undefined) lines.push(`${name}==${chosen.version} --hash=sha256:${chosen.sha256}`);
  }
  return `${lines.join('\n')}\n`;
}

/**
 * @param {string} project
 * @param {string} version
 * @param {{ requires?: readonly string[], requiresPython?: string, yanked?: boolean | string, hasSidecar?: boolean,
 *   size?: number }} more `size`: of something that does not compress, in bytes
 * @returns {PythonFile}
 */
export function wheel(
  project,
  version,
  { requires = [], requiresPython, yanked = false, hasSidecar = true, size = 0 },
) {
  const module = project.replaceAll('-', '_');
  const info = `${module}-${version}.dist-info`;
  const metadata = metadataOf(project, version, requires, requiresPython);
  const contents = [
    { name: `${module}/__init__.py`, content: `VERSION = "${version}"\n` },
    ...(size > 0 ? [{ name: `${module}/large.bin`, content: noise(size), stored: true }] : []),
    { name: `${info}/METADATA`, content: metadata },
    {
      name: `${info}/WHEEL`,
      content: 'Wheel-Version: 1.0\nGenerator: fixture\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    },
  ];
  const record = contents.map(({ name, content }) => {
    const sum = createHash('sha256').update(content).digest('base64url');
    return `${name},sha256=${sum},${Buffer.byteLength(content)}\n`;
  });
  const bytes = zip([...contents, { name: `${info}/RECORD`, content: `${record.join('')}${info}/RECORD,,\n` }]);
  const filename = `${module}-${version}-py3-none-any.whl`;
  const common = { project, version, filename, bytes, sha256: sha256(bytes), yanked, requiresPython };
  return { ...common, metadata: hasSidecar ? metadata : undefined };
}

/**
 * A source distribution that brings the program that builds it, so that nothing else has to be installed.
 * @param {string} project @param {string} version @returns {PythonFile}
 */
function sdist(project, version) {
  const module = project.replaceAll('-', '_');
  const folder = `${module}-${version}`;
  const built = wheel(project, version, {});
  const backend = BACKEND.replaceAll('NAME', built.filename).replace('BYTES', built.bytes.toString('base64'));
  const bytes = tarball({
    [`${folder}/PKG-INFO`]: { body: metadataOf(project, version, [], undefined) },
    [`${folder}/pyproject.toml`]: {
      body: '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    },
    [`${folder}/backend.py`]: { body: backend },
  });
  const common = { project, version, yanked: false, requiresPython: undefined, metadata: undefined };
  return { ...common, filename: `${folder}.tar.gz`, bytes, sha256: sha256(bytes) };
}

const BACKEND = `import base64, os
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    with open(os.path.join(wheel_directory, "NAME"), "wb") as file:
        file.write(base64.b64decode("BYTES"))
    return "NAME"
`;

/** @param {string} project @param {string} version @param {readonly string[]} requires @param {string | undefined} requiresPython */
function metadataOf(project, version, requires, requiresPython) {
  const lines = ['Metadata-Version: 2.1', `Name: ${project}`, `Version: ${version}`];
  if (requiresPython !== undefined) lines.push(`Requires-Python: ${requiresPython}`);
  return `${[...lines, ...requires.map((one) => `Requires-Dist: ${one}`)].join('\n')}\n`;
}

/** Bytes that do not compress, the same in every run. @param {number} size */
function noise(size) {
  const bytes = Buffer.allocUnsafe(size);
  let state = 1;
  for (let at = 0; at + 4 <= size; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state, at);
  }
  return bytes;
}

/** @param {Buffer} bytes */
function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}
