import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { parseListenAddress } from './listen-address.js';
import { passwordHashProblem } from './password-hash-form.js';

/** A text that is not empty. */
export const text = z.string().min(1, { error: 'expected a text that is not empty' });

/** The name of a repository or a scanner. */
export const name = z.string().regex(/^[a-z0-9][a-z0-9._-]*$/, {
  error: 'expected a name of lower-case letters, digits, ".", "_" and "-" that begins with a letter or digit',
});

/** A yes or no. */
export function flag(fallback: boolean) {
  return z.boolean().default(fallback);
}

/** One of `values`. */
export function choice<const Value extends string>(values: readonly Value[], fallback: NoInfer<Value>) {
  return z.enum(values).default(() => fallback);
}

/** The name of the driver that a section is for where it names none. */
export function driver<const Name extends string>(driverName: Name) {
  return z
    .literal(driverName)
    .optional()
    .default(() => driverName);
}

/** `host:port` of a listener. */
export const listenAddress = z
  .string()
  .transform((value, context) => {
    const address = parseListenAddress(value);
    if (address !== undefined) return address;
    context.addIssue({ code: 'custom', message: 'expected host:port, [address]:port or :port' });
    return z.NEVER;
  })
  .meta({ form: 'address' });

/** `host` or `host:port`, in lower case. */
export const host = z
  .string()
  .regex(/^(\[[0-9A-Fa-f:.]+\]|[^\s:/@[\]]+)(:\d{1,5})?$/, { error: 'expected a host, or host:port' })
  .transform((name) => name.toLowerCase());

/** A text in which `problemOf` finds none. */
function textWithout(problemOf: (value: string) => string | undefined) {
  return z.string().refine((value) => problemOf(value) === undefined, {
    error: ({ input }) => problemOf(input as string),
  });
}

export const passwordHash = textWithout(passwordHashProblem);

/** An http or https URL. @param credentials whether it may hold them */
export function httpUrl({ credentials }: { readonly credentials: boolean }) {
  return textWithout((value) => httpUrlProblem(value, credentials)).meta({ form: 'URL' });
}

function httpUrlProblem(value: string, credentials: boolean): string | undefined {
  const expected = 'expected an http:// or https:// URL';
  if (!/^https?:\/\//i.test(value) || !URL.canParse(value)) return expected;
  const url = new URL(value);
  if (url.search !== '' || url.hash !== '') return `${expected} without a query and a fragment`;
  if (!credentials && (url.username !== '' || url.password !== '')) return `${expected} without credentials`;
  if (!areDecodable(url.username, url.password)) return `${expected} whose credentials are percent-encoded`;
  return undefined;
}

function areDecodable(...texts: readonly string[]): boolean {
  try {
    for (const one of texts) decodeURIComponent(one);
    return true;
  } catch {
    return false;
  }
}

/** Said of a backend that is one of another alternative. Not a message for people: the other alternative says what is wrong. */
export const OTHER_BACKEND = 'another backend';

/**
 * A mapping of `keys`, which are `common` to all plugins. Every other key is one of the plugin's `options`, not yet validated.
 */
export function withOptions<Keys extends z.ZodRawShape>(keys: Keys) {
  return z.looseObject(keys).transform((value) => {
    const pick = (isCommon: boolean): Readonly<Record<string, unknown>> =>
      Object.fromEntries(Object.entries(value).filter(([key]) => Object.hasOwn(keys, key) === isCommon));
    return { common: pick(true) as z.output<z.ZodObject<Keys>>, options: pick(false) };
  });
}

/** Whether `mount` is `/`, or segments that need no escape and lead nowhere else. */
export function isMount(mount: string): boolean {
  return mount === '/' || isPlainPath(mount);
}

/** Whether `path` consists of segments that need no escape and lead nowhere else. */
export function isPlainPath(path: string): boolean {
  if (!/^(\/[A-Za-z0-9._~@-]+)+$/.test(path)) return false;
  return !path.split('/').some((segment) => segment === '.' || segment === '..');
}

/** Whether `value` is an address, or a network in CIDR notation. */
export function isNetwork(value: string): boolean {
  const [address = '', ...prefix] = value.split('/');
  // ipaddr.js also reads `10` and `0x7f.1` as IPv4; nobody means those.
  if (!ipaddr.IPv4.isValidFourPartDecimal(address) && !ipaddr.IPv6.isValid(address)) return false;
  return prefix.length === 0 || ipaddr.isValidCIDR(value);
}

/** Whether `value` is a package name (npm's rules for new names), a path, or a file: URL. */
export function isPluginReference(value: string): boolean {
  if (value.startsWith('file:')) return URL.canParse(value);
  if (/^((\.{1,2})?\/|[A-Za-z]:[\\/])/.test(value)) return true;
  return value.length <= 214 && /^(@[a-z0-9-~][a-z0-9-._~]*\/)?[a-z0-9-~][a-z0-9-._~]*$/.test(value);
}
