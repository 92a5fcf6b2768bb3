import { durationOption } from '@entrepot/core/formats';
import { z } from 'zod';
import { hostedOptionsOf } from '../../shared/hosted/options.js';
import { isArchitecture } from './control.js';

const time = durationOption();
/** The value of a field of a Release file. */
const fieldText = z.string().regex(/^[!-~](?:[ -~]{0,198}[!-~])?$/, 'expected printable ASCII on one line');

/** Options of hosted repositories alone. */
export const hostedOptions = {
  ...hostedOptionsOf('Release files'),
  origin: fieldText.default('Entrepot').describe('Hosted: the `Origin` of Release files, for pins of apt.'),
  label: fieldText.optional().describe('Hosted: the `Label` of Release files. Left out: the name of the repository.'),
  validFor: z
    .string({ error: time.expected })
    .transform(time.read)
    .refine((duration) => duration >= 3_600_000, 'expected an hour at the least: 1h, 7d')
    .optional()
    .describe('Hosted: how long a Release file is valid for apt. Left out: for ever.'),
  architectures: z
    .array(z.string().refine(isArchitecture, 'expected an architecture, such as amd64'))
    .max(64)
    .default([])
    .describe('Hosted: architectures that every suite has, whether there are packages for them or not.'),
};

/** The keys of options of hosted repositories alone. */
export const HOSTED_KEYS: readonly string[] = Object.keys(hostedOptions);
