import { sizeOption } from '@entrepot/core/formats';
import { z } from 'zod';

const bytes = sizeOption({ least: 1, most: 1024 ** 3 });
const size = z.union([z.string(), z.number()], { error: bytes.expected }).transform(bytes.read);

/** Options of hosted repositories alone. */
const hosted = {
  maxUploadSize: size.prefault('20MiB').describe('The largest crate that is taken, with what cargo says of it.'),
};

/** The options of a repository of crates. */
export const cargoOptions = z.strictObject(hosted);

/** The keys of options of hosted repositories alone. */
export const HOSTED_KEYS: readonly string[] = Object.keys(hosted);

/** The options, read. */
export type CargoOptions = z.output<typeof cargoOptions>;
