import type { z } from 'zod';
import { repositoryOptions } from '../shared/options.js';
import { hostedOptions } from './hosted/options.js';

/** The options of an rpm repository. */
export const rpmOptions = repositoryOptions.extend(hostedOptions);

export type RpmOptions = z.output<typeof rpmOptions>;
