import { durationOption, sizeOption, timeoutOption } from '../formats/quantity-options.js';

/** The options that every scanner with a tool has, for a schema of any library: what they take and mean. */
export const TOOL_OPTIONS = {
  command: 'The program: a name on the PATH, or a path.',
  updates: 'Whether newer databases are downloaded. `false`: others keep `directory` up to date.',
  maxAge: { ...durationOption({ least: 1, endless: true }), about: 'A database that is older says nothing any more.' },
  timeout: { ...timeoutOption(), about: 'How long one run may take.' },
  updateTimeout: { ...timeoutOption(), about: 'How long a download may take.' },
  platform: {
    pattern: /^[a-z0-9]+\/[a-z0-9]+$/,
    expected: 'expected a platform such as linux/amd64',
    about: 'Which image of an index is judged with the index. Each is judged by itself when it is pulled.',
  },
  maxImageSize: { ...sizeOption({ least: 1, endless: true }), about: 'Larger images are not judged.' },
};
