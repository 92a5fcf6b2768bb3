import { gunzipSync } from 'node:zlib';
import { EntrepotError, type Content } from '@entrepot/core';
import { TarReader } from '@entrepot/core/formats';
import { parse } from 'yaml';
import { z } from 'zod';
import { numberOf } from './names.ts';

const LIMITS = { files: 100, fileBytes: 1024 ** 3, bytes: 1024 ** 3 };

const version = z.object({ version: z.string().regex(/^\d[\dA-Za-z.]*$/) });
const requirement = z
  .object({ requirements: z.array(z.tuple([z.enum(['=', '!=', '>', '<', '>=', '<=', '~>']), version])) })
  .transform(({ requirements }) => requirements.map(([operator, one]) => `${operator} ${one.version}`).join('&'));
const name = z.string().regex(/^[\w.-]{1,200}$/);
/** A specification, as far as the index needs it. All scalars are text. */
const specification = z.object({
  name,
  version,
  platform: z.string().regex(/^[A-Za-z][\w-]*$/),
  required_ruby_version: requirement,
  required_rubygems_version: requirement,
  dependencies: z.array(z.object({ name, requirement, type: z.enum([':runtime', ':development']) })).default([]),
});

/** The name of a gem, the number of a version, and its line in the list of the gem. There, `SHA256` stands for the sum. */
export type IndexedGem = ReturnType<typeof indexed>;

/**
 * Reads the specification in the file of a gem.
 * @throws EntrepotError `bad-request` for a body that is no gem
 */
export async function readGem(content: Content): Promise<IndexedGem> {
  try {
    const tar = new TarReader(content.stream(), LIMITS);
    for await (const file of tar.files()) {
      if (file.name !== 'metadata.gz') continue;
      const yaml = gunzipSync(await tar.content(), { maxOutputLength: 4 * 1024 * 1024 }).toString('utf8');
      return indexed(specification.parse(parse(yaml, { schema: 'failsafe', logLevel: 'silent' })));
    }
    throw new Error('expected metadata.gz in it');
  } catch (cause) {
    throw new EntrepotError('bad-request', `The body is no gem: ${(cause as Error).message}`, { cause });
  }
}

function indexed(gem: z.output<typeof specification>) {
  const number = numberOf(gem.version.version, gem.platform);
  const needed = gem.dependencies.filter(({ type }) => type === ':runtime');
  const dependencies = needed.map((one) => `${one.name}:${one.requirement}`).join(',');
  const rules = `ruby:${gem.required_ruby_version},rubygems:${gem.required_rubygems_version}`;
  return { name: gem.name, number, line: `${number} ${dependencies}|checksum:SHA256,${rules}` };
}
