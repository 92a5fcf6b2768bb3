import { EntrepotError, type Content, type Resource, type VerifyContext } from '@entrepot/core';
import { eachOf, JsonFormatError, malformed, SKIP, scanJson, textOf } from '@entrepot/core/formats';

/** The largest answer of an API about one crate, in bytes. */
export const LARGEST_METADATA = 32 * 1024 * 1024;

/**
 * Reads the licences of the versions of a crate from what the API of its registry says of it. An index has none. Empty: the API does
 * not know the crate.
 */
export async function readLicences(
  metadata: Resource,
  { read }: Pick<VerifyContext, 'read'>,
): Promise<ReadonlyMap<string, string>> {
  let content: Content;
  try {
    content = await read(metadata);
  } catch (error) {
    if (error instanceof EntrepotError && error.kind === 'not-found') return new Map();
    throw error;
  }
  return await parseLicences(content);
}

/** @throws EntrepotError `upstream-unavailable` for what is no answer about a crate */
export async function parseLicences(content: Content): Promise<ReadonlyMap<string, string>> {
  const licences = new Map<string, string>();
  let version: string | undefined;
  let licence: string | undefined;
  const versions = eachOf({
    enter() {
      version = undefined;
      licence = undefined;
    },
    member(key) {
      if (key === 'num') return (value) => void (version = textOf(value));
      return key === 'license' ? (value) => void (licence = textOf(value)) : SKIP;
    },
    leave() {
      // Cargo still reads the separator of before SPDX.
      if (version !== undefined && licence !== undefined) licences.set(version, licence.replaceAll('/', ' OR '));
    },
  });
  try {
    await scanJson(content, { member: (key) => (key === 'versions' ? versions : SKIP) });
  } catch (error) {
    if (error instanceof JsonFormatError) throw malformed('the API', error.message, error);
    throw error;
  }
  return licences;
}
