import { sizeOption } from '@entrepot/core/formats';
import { z } from 'zod';

const bytes = sizeOption({ least: 1 });
const size = z.union([z.string(), z.number()], { error: bytes.expected }).transform(bytes.read);

/** Options of hosted repositories of each format. @param signed the documents that are signed */
export function hostedOptionsOf(signed: string) {
  return {
    signing: z
      .strictObject({
        key: z.string().min(1).describe('An armored OpenPGP secret key. A secret: `${file:…}`.'),
        passphrase: z.string().optional().describe('Of the key. A secret: `${env:…}` or `${file:…}`.'),
      })
      .optional()
      .describe(`Hosted: the key that signs ${signed}. Left out: they are not signed.`),
    maxUploadSize: size.prefault('5GiB').describe('Hosted: the largest package that is taken.'),
  };
}
