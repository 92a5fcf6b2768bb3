import type { z } from 'zod';
import { repositoryOptions } from '../shared/options.js';
import { hostedOptions } from './hosted/options.js';

/** The options of a deb repository. */
export const debOptions = repositoryOptions.extend(hostedOptions);

export type DebOptions = z.output<typeof debOptions>;
