import { z } from 'zod';
import { isCrateName, isVersion } from './crate-name.js';

/** The longest line of an index that a version may have, in bytes. */
export const LONGEST_HOSTED_LINE = 256 * 1024;

const text = z.string().max(1_000);
const name = z.string().refine(isCrateName, { error: 'expected a name of letters, digits, "-" and "_"' });
/** Features have a `+` and a `.`, too: `c++20`. */
const feature = z
  .string()
  .regex(/^[\p{L}\p{N}_][\p{L}\p{N}_+.-]{0,255}$/u, { error: 'expected the name of a feature' });
const values = z.array(z.string().max(500)).max(5_000);

const dependency = z.object({
  name,
  version_req: text,
  features: values.default([]),
  optional: z.boolean().default(false),
  default_features: z.boolean().default(true),
  target: text.nullish(),
  kind: z.enum(['dev', 'build', 'normal']).nullish(),
  registry: text.nullish(),
  explicit_name_in_toml: name.nullish(),
});

/** Metadata that `cargo publish` sends of a crate. Other members are passed over. */
export const METADATA = z.object({
  name,
  vers: z.string().refine(isVersion, { error: 'expected a semantic version' }),
  deps: z.array(dependency).max(5_000).default([]),
  features: z.record(feature, values).default({}),
  links: text.nullish(),
  rust_version: text.nullish(),
  description: z.string().max(100_000).nullish(),
});

/** Metadata of a crate, checked. */
export type CrateMetadata = z.output<typeof METADATA>;

/** A version as the line of an index has it. */
export interface IndexLine {
  readonly name: string;
  readonly vers: string;
  readonly yanked: boolean;
}

/**
 * Makes the line of an index for a version (The Cargo Book, "Index Format", "JSON schema"). Features that older clients cannot read
 * stand apart.
 */
export function indexLine(
  { name, vers, deps, features, links, rust_version }: CrateMetadata,
  sha256: string,
  publishedAt: number,
): IndexLine {
  const isNew = ([, enables]: [string, string[]]): boolean =>
    enables.some((value) => value.startsWith('dep:') || value.includes('?/'));
  const all = Object.entries(features);
  const newer = all.filter(isNew);
  return {
    name,
    vers,
    deps: deps.map((dep) => ({
      name: dep.explicit_name_in_toml ?? dep.name,
      req: dep.version_req,
      features: dep.features,
      optional: dep.optional,
      default_features: dep.default_features,
      target: dep.target ?? null,
      kind: dep.kind ?? 'normal',
      registry: dep.registry ?? null,
      ...(dep.explicit_name_in_toml && { package: dep.name }),
    })),
    cksum: sha256,
    features: Object.fromEntries(all.filter((entry) => !isNew(entry))),
    yanked: false,
    links: links ?? null,
    pubtime: `${new Date(publishedAt).toISOString().slice(0, -'.000Z'.length)}Z`,
    ...(rust_version && { rust_version }),
    ...(newer.length > 0 && { v: 2, features2: Object.fromEntries(newer) }),
  } as IndexLine;
}
