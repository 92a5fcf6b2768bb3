import { INTEGRITY_ALGORITHMS, parseHex } from '@entrepot/core';
import { durationOption, sizeOption } from '@entrepot/core/formats';
import { z } from 'zod';
import { readSidecar } from './checksum.js';
import type { ChecksumRule } from './checksum.js';
import { headerName, mediaTypes, requestHeaderName } from './header-options.js';
import { byGlob, byRegex } from './pattern.js';
import { PRESETS } from './presets.js';
import { ruleTable } from './rules.js';
import type { Policy, Rule } from './rules.js';

/** An invalid value, thrown by the function of a transform. `checked` turns it into an issue. */
class BadValue extends Error {}

/** A transform whose function may throw a `BadValue` or a syntax error. */
function checked<Input, Output>(convert: (value: Input) => Output) {
  return (value: Input, context: z.RefinementCtx<Input>): Output => {
    try {
      return convert(value);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
      return z.NEVER;
    }
  };
}

const time = durationOption({ endless: true });
const duration = z
  .union([z.string(), z.literal(0)], { error: time.expected })
  .describe('A duration: 30s, 5m, 1h30m, 7d, forever, never, 0.')
  .transform(time.read);

const bytes = sizeOption();
const byteSize = z
  .union([z.string(), z.number()], { error: bytes.expected })
  .describe('A size in bytes: 1048576, 500MiB, 5GiB.')
  .transform(bytes.read);

const policy = z.enum(['immutable', 'revalidate', 'bypass', 'deny'] satisfies Policy[]);
const busy = z.enum(['wait', 'stale', 'bypass']);

const writtenChecksum = z.strictObject({
  md5: z.string().optional(),
  sha1: z.string().optional(),
  sha256: z.string().optional(),
  sha384: z.string().optional(),
  sha512: z.string().optional(),
  sidecar: z
    .string()
    .max(255)
    .regex(/^\/?[^/\\]+$/)
    .optional()
    .describe('.sha256: beside the file; SHA256SUMS: in its directory; /SHA256SUMS: at the root of the repository.'),
  required: z.boolean().default(true).describe('Whether a file without a sum is refused.'),
});

const writtenRule = z.strictObject({
  match: z
    .union([z.string(), z.strictObject({ glob: z.string() }), z.strictObject({ regex: z.string() })])
    .describe(
      'A glob for the whole path, or { regex } that is searched in it (RE2 syntax, and look-around at its ends).',
    )
    .transform(
      checked((match) => (typeof match === 'object' && 'regex' in match ? byRegex(match.regex) : byGlob(match))),
    ),
  policy: policy.describe('immutable: kept for ever; revalidate: kept and asked again; bypass: never kept; deny: 403.'),
  freshFor: duration.optional(),
  fresh_for: duration.optional(),
  expireAfter: duration.optional(),
  expire_after: duration.optional(),
  busy: busy.optional(),
  busy_policy: busy.optional(),
  staleIfError: duration.optional(),
  staleAfter: duration.optional(),
  staleWhileRevalidate: duration.optional(),
  negativeFor: duration.optional(),
  onGone: z.enum(['pass', 'keep']).optional(),
  respectNoStore: z.boolean().optional(),
  redirects: z
    .enum(['follow', 'directories', 'pass'])
    .optional()
    .describe(
      'Which redirects within the upstream clients are told of: none (follow), those of a directory to its slash (directories, the default), or all (pass).',
    ),
  checksum: writtenChecksum
    .describe('What the bytes must be: sums in hex, or where the upstream keeps them.')
    .transform(checked(toChecksumRule))
    .optional(),
});

const regexes = z.array(z.string().transform(checked(byRegex)));

const writtenOptions = z.strictObject({
  rules: z.array(writtenRule).optional().describe('Which paths are kept how. The first rule that matches wins.'),
  preset: z
    .enum(Object.keys(PRESETS) as [keyof typeof PRESETS, ...(keyof typeof PRESETS)[]])
    .optional()
    .describe('Rules for a well-known layout, after those of the repository.'),
  defaultPolicy: policy.optional().describe('For paths that no rule matches. Default: revalidate.'),
  default_policy: policy.optional(),
  mutablePatterns: regexes.optional().describe('Regular expressions: these paths are kept and asked again.'),
  mutable_patterns: regexes.optional(),
  mutableFreshFor: duration.optional().describe('freshFor of what mutablePatterns match.'),
  immutablePatterns: regexes
    .optional()
    .describe('Regular expressions: these paths are kept for ever, all others are 403.'),
  immutable_patterns: regexes.optional(),
  query: z
    .enum(['keep', 'ignore'])
    .default('keep')
    .describe('keep: a query is sent upstream and makes another file; ignore: it is dropped.'),
  passHeaders: z
    .array(headerName)
    .default([])
    .describe('Further response headers of the upstream that are kept and passed to clients, such as x-checksum-sha1.'),
  passRequestHeaders: z
    .array(requestHeaderName)
    .max(20)
    .default([])
    .describe(
      'Request headers of clients that are sent upstream besides `Accept` and `User-Agent`. An upstream that answers differently by one has to name it in `Vary`; what is immutable does not vary.',
    ),
  mediaType: z
    .enum(['upstream', 'name'])
    .default('upstream')
    .describe(
      'Where `Content-Type` is from: `upstream`, or the extension of the `name`, where that is known; the upstream says the rest.',
    ),
  mediaTypes: mediaTypes
    .default({})
    .describe('Media types by extension, above both: `{ .whl: application/zip }`. The longest extension counts.'),
  attachment: z
    .boolean()
    .default(false)
    .describe(
      'Whether all files are sent with `Content-Disposition: attachment` and their own name, so that browsers save them. `false`: what the upstream says is passed on.',
    ),
  overwrite: z.boolean().default(false).describe('Hosted: whether PUT replaces a file that exists.'),
  allowDelete: z.boolean().default(true).describe('Hosted: whether DELETE is served.'),
  maxBytes: byteSize.prefault('5GiB').describe('Hosted: the largest file that is taken.'),
});

/** Keys that only apply to hosted repositories. */
export const HOSTED_KEYS: readonly string[] = ['overwrite', 'allowDelete', 'maxBytes'];
/** Keys that apply to both kinds. */
const SHARED_KEYS: ReadonlySet<string> = new Set(['attachment']);
/** Keys that only apply to proxies. */
export const PROXY_KEYS = Object.keys(writtenOptions.shape).filter(
  (key) => !HOSTED_KEYS.includes(key) && !SHARED_KEYS.has(key),
);

/** The options of a files repository, as they are written in the configuration. */
export const filesOptions = writtenOptions.transform(checked(toFilesOptions));

/** The options of a files repository, checked. */
export type FilesOptions = z.output<typeof filesOptions>;

function toFilesOptions(written: z.output<typeof writtenOptions>) {
  const { query, passHeaders, passRequestHeaders, attachment, overwrite, allowDelete, maxBytes } = written;
  const { mutableFreshFor, preset } = written;
  const { mutablePatterns, mutable_patterns, immutablePatterns, immutable_patterns } = written;
  const mutable = either({ mutablePatterns, mutable_patterns });
  const immutable = either({ immutablePatterns, immutable_patterns });
  const kept = mutableFreshFor === undefined ? {} : { freshFor: mutableFreshFor };
  const rules = [
    ...toRules('rules', written.rules),
    ...toRules(
      'mutablePatterns',
      mutable?.map((match) => ({ match, policy: 'revalidate', ...kept })),
    ),
    ...toRules(
      'immutablePatterns',
      immutable?.map((match) => ({ match, policy: 'immutable' })),
    ),
    ...toRules(`preset ${preset}`, preset && PRESETS[preset].map((rule) => writtenRule.parse(rule))),
  ];
  const table = ruleTable(rules, fallbackOf(written, immutable !== undefined, mutable !== undefined));
  const types = { byName: written.mediaType === 'name', byExtension: written.mediaTypes };
  return { table, query, passHeaders, passRequestHeaders, types, attachment, overwrite, allowDelete, maxBytes };
}

function fallbackOf(written: z.output<typeof writtenOptions>, allowList: boolean, mutable: boolean): Rule {
  const given = either({ defaultPolicy: written.defaultPolicy, default_policy: written.default_policy });
  if (given !== undefined) {
    if (allowList) {
      throw new BadValue('defaultPolicy cannot stand beside immutablePatterns, which refuse what they do not match');
    }
    return { label: `defaultPolicy ${given}`, policy: given, freshness: {} };
  }
  if (allowList) return { label: 'no pattern of immutablePatterns', policy: 'deny', freshness: {} };
  // Where only the mutable paths are named, all others are meant to be immutable.
  if (mutable) return { label: 'no pattern of mutablePatterns', policy: 'immutable', freshness: {} };
  return { label: 'the default policy', policy: 'revalidate', freshness: {} };
}

function toRules(list: string, written: readonly z.output<typeof writtenRule>[] = []): Rule[] {
  return written.map((rule, index) => toRule(rule, `${list}[${index}] ${JSON.stringify(rule.match.text)}`));
}

function toRule(written: z.output<typeof writtenRule>, label: string): Rule {
  const { match, policy, redirects, checksum, ...other } = written;
  const { freshFor, fresh_for, expireAfter, expire_after, busy, busy_policy, ...rest } = other;
  if (checksum !== undefined && policy !== 'immutable') {
    throw new BadValue(`${label}: a checksum needs policy: immutable, found ${policy}`);
  }
  const freshness = {
    ...rest,
    freshFor: either({ freshFor, fresh_for }),
    expireAfter: either({ expireAfter, expire_after }),
    busy: either({ busy, busy_policy }),
  };
  const given = Object.entries(freshness).filter(([, value]) => value !== undefined);
  return { label, matches: match.test, policy, freshness: Object.fromEntries(given), redirects, checksum };
}

/** The value of one key, under its two spellings. */
function either<Value>(spellings: Readonly<Record<string, Value | undefined>>): Value | undefined {
  const given = Object.entries(spellings).filter(([, value]) => value !== undefined);
  if (given.length < 2) return given[0]?.[1];
  throw new BadValue(`${given.map(([key]) => key).join(' and ')} are one key: write one of them`);
}

function toChecksumRule({ sidecar, required, ...sums }: z.output<typeof writtenChecksum>): ChecksumRule {
  const integrity = INTEGRITY_ALGORITHMS.flatMap((algorithm) => {
    const sum = sums[algorithm];
    const promise = sum === undefined ? [] : parseHex(algorithm, sum);
    if (promise === undefined) throw new BadValue(`${algorithm}: expected a sum of that algorithm in hex`);
    return promise;
  });
  if ((sidecar === undefined) === (integrity.length === 0)) {
    throw new BadValue('expected either sums (sha256: …) or a sidecar');
  }
  return sidecar === undefined
    ? { kind: 'pinned', integrity }
    : { kind: 'sidecar', sidecar: readSidecar(sidecar), required };
}
