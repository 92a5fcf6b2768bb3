import { z } from 'zod';

/**
 * Headers that are not passed on: those that core sets, those of one connection (RFC 9110 §7.6.1), and those that would
 * set state for this origin.
 */
const UNPASSABLE =
  /^(?:age|cache-control|connection|content-(?:encoding|length|range|type|security-policy)|date|etag|last-modified|location|set-cookie2?|strict-transport-security|trailer|transfer-encoding|upgrade|vary|www-authenticate|x-cache|cache-status)$/;

/**
 * Request headers that are not sent on: those of one connection, those by which this server itself asks (conditions, ranges, codings),
 * what proxies note of a client, and credentials. What is fetched with those of one caller would be kept for all.
 */
const UNSENDABLE =
  /^(?:accept(?:-encoding|-ranges)?|authorization|cache-control|connection|content-[a-z-]+|cookie2?|expect|forwarded|from|host|if-[a-z-]+|keep-alive|max-forwards|origin|pragma|proxy-[a-z-]+|range|referer|te|trailer|transfer-encoding|upgrade|user-agent|via|want-[a-z-]+|x-forwarded-[a-z-]+|x-real-ip)$/;

const name = z
  .string()
  .toLowerCase()
  .regex(/^[a-z0-9!#$%&'*+.^_`|~-]{1,100}$/, { error: 'expected the name of a header' });

/** The name of a response header that is passed on. */
export const headerName = name.refine((one) => !UNPASSABLE.test(one), { error: 'this header cannot be passed on' });

/** The name of a request header that is passed on. */
export const requestHeaderName = name.refine((one) => !UNSENDABLE.test(one), {
  error:
    'this header cannot be passed on: it is sent anyway, set by this server, or would have what one client may see kept for all (credentials belong into auth)',
});

/** Media types by extension. */
export const mediaTypes = z
  .record(
    z.string().toLowerCase(),
    z.string().regex(/^[\w!#$&^.+-]{1,100}\/[\w!#$&^.+-]{1,100}(?:; ?[a-z-]{1,20}=[\w.+-]{1,50})?$/, {
      error: 'expected a media type such as application/zip',
    }),
  )
  .refine((types) => Object.keys(types).every((extension) => /^\.[^/\\\s]{1,50}$/.test(extension)), {
    error: 'expected extensions such as .whl as keys',
  })
  .refine((types) => Object.keys(types).length <= 200, { error: 'expected 200 extensions at the most' });
