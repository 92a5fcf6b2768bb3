import { durationOption, sizeOption, timeoutOption } from '../formats/quantity-options.js';

/** The limits of the options that every scanner with a tool has. */
export const TOOL_LIMITS = {
  /** How old a database may be. */
  age: durationOption({ least: 1, endless: true }),
  /** How long a run or a download may take. */
  time: timeoutOption(),
  /** How large an image may be. */
  bytes: sizeOption({ least: 1, endless: true }),
  /** Which image of an index is judged. */
  platform: { pattern: /^[a-z0-9]+\/[a-z0-9]+$/, expected: 'expected a platform such as linux/amd64' },
} as const;
