import { existsSync } from 'node:fs';
import { durationOption } from '@entrepot/core/formats';
import { z } from 'zod';
import { traitsOf } from './ecosystems.js';
import { isUrl } from './download.js';

const httpUrl = z.url({ protocol: /^https?$/, error: 'expected an http or https URL' });

const interval = durationOption({ endless: true });
const duration = z.union([z.string(), z.number()], { error: interval.expected }).transform(interval.read);

const ecosystem = z.string().refine((name) => !name.includes(':') && traitsOf(name) !== undefined, {
  message: 'expected the OSV name of an ecosystem that is known here, without a release: npm, PyPI, Go, Debian …',
});

/** The options of the OSV scanner. */
export const osvOptions = z
  .strictObject({
    /**
     * The source of dumps for a local database: the URL of the public dumps or of a mirror (`<ECOSYSTEM>/all.zip`,
     * `<ECOSYSTEM>/modified_id.csv`), or a folder.
     */
    from: z.string().min(1).optional(),
    /** OSV names of the ecosystems to take. Default: all that are known. */
    ecosystems: z.array(ecosystem).nonempty().optional(),
    /** The folder of the database, with room for two copies. */
    directory: z.string().min(1).default('data/scanner-osv'),
    /** The time between two imports of everything, which find records that were deleted. */
    fullImportEvery: duration.default(7 * 86_400_000),
    /** Instead of `from`: the base URL of an OSV API, to which `/v1/…` is added. */
    api: httpUrl.optional(),
    /** CISA's catalogue of known exploited vulnerabilities (JSON): a URL or a file. */
    kev: z.string().min(1).optional(),
    /** The daily list of EPSS (CSV, compressed where the name ends in `.gz`): a URL or a file. */
    epss: z.string().min(1).optional(),
  })
  .refine(({ from, api }) => (from === undefined) !== (api === undefined), {
    error: 'expected one of "from" (dumps) and "api"',
  })
  // With a database that is kept the scanner goes on, and asks for a newer one later.
  .refine(({ from, directory }) => from === undefined || isUrl(from) || existsSync(from) || existsSync(directory), {
    path: ['from'],
    error: 'expected a folder with OSV dumps or the URL of a mirror; there is no such folder, and no database yet',
  })
  .refine(({ api, ecosystems }) => api === undefined || ecosystems === undefined, {
    path: ['ecosystems'],
    error: 'expected none beside "api": only dumps are chosen by ecosystem',
  });

/** The parsed options. */
export type OsvOptions = z.output<typeof osvOptions>;
