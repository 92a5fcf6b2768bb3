import { z } from 'zod';
import { PROXY_KEYS as SHARED_KEYS, repositoryOptions } from '../shared/options.js';
import { hostedOptions } from './hosted/options.js';

const mirrorOptions = {
  mirrorLists: z
    .record(
      z.string().regex(/^[^/].*[^/]$/, { error: 'expected a root such as 9/BaseOS/x86_64/os' }),
      z.string().regex(/^(?![a-z+.-]+:)[!-~]+$/i, {
        error: 'expected a path below the upstream such as mirrorlist?arch=x86_64&repo=BaseOS-9',
      }),
    )
    .default({})
    .describe(
      'Lists of mirrors (mirrorlist, metalink) by the roots that they are for, as paths below the upstream: `9/BaseOS/x86_64/os: mirrorlist?arch=x86_64&repo=BaseOS-9`.',
    ),
  mirrorHosts: z
    .array(z.string().min(1))
    .default(['*'])
    .describe('Hosts that these lists may lead to: `*.example.com`.'),
};

/** The options of an rpm repository. */
export const rpmOptions = repositoryOptions.extend({ ...mirrorOptions, ...hostedOptions });

/** The keys of options of proxies alone. */
export const PROXY_KEYS: readonly string[] = [...SHARED_KEYS, ...Object.keys(mirrorOptions)];

export type RpmOptions = z.output<typeof rpmOptions>;
