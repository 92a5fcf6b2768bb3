import { z } from 'zod';

/** A release, as far as it matters here: what else an upstream says is passed on as it is. */
const release = z.looseObject({
  version: z.string(),
  file: z.string(),
  url: z.string(),
  sha256: z.string(),
  published: z.iso.datetime().optional(),
});

/** The index of a project, oldest release first. */
export const releaseIndex = z.looseObject({
  name: z.string(),
  latest: z.string().optional(),
  releases: z.array(release),
});

export type Release = z.output<typeof release>;
export type ReleaseIndex = z.output<typeof releaseIndex>;
