/** A hash may ask for this much memory and no more, in bytes. */
const MAX_MEMORY = 256 * 1024 * 1024;

const BCRYPT = /^\$2[aby]\$(0[4-9]|1[0-5])\$[./A-Za-z0-9]{53}$/;
const SCRYPT = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{22,86})\$([A-Za-z0-9+/]{43,86})$/;

/** Why `hash` cannot be used, without quoting it; `undefined` when it can. */
export function passwordHashProblem(hash: string): string | undefined {
  const expected = 'expected a bcrypt hash ($2y$…, at most cost 15) or one of `entrepot password` ($scrypt$…)';
  if (BCRYPT.test(hash)) return undefined;
  const parsed = parseScrypt(hash);
  if (parsed === undefined) return `${expected}, found ${kindOf(hash)}`;
  return parsed.cost.logN < 1 || parsed.cost.r < 1 || parsed.cost.p < 1 || memoryOf(parsed.cost) > MAX_MEMORY
    ? `${expected} that needs at most 256 MiB`
    : undefined;
}

/** The cost of a scrypt hash. */
export interface Cost {
  /** Of which 2 to the power is scrypt's N. */
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

/** Reads `$scrypt$ln=15,r=8,p=1$salt$key`. `undefined`: `hash` is of another form. */
export function parseScrypt(
  hash: string,
): { readonly cost: Cost; readonly salt: Buffer; readonly key: Buffer } | undefined {
  const match = SCRYPT.exec(hash);
  if (match === null) return undefined;
  const [, logN, r, p, salt, key] = match as unknown as [string, string, string, string, string, string];
  return {
    cost: { logN: Number(logN), r: Number(r), p: Number(p) },
    salt: Buffer.from(salt, 'base64'),
    key: Buffer.from(key, 'base64'),
  };
}

/** The memory that scrypt needs, in bytes. */
export function memoryOf({ logN, r, p }: Cost): number {
  return 128 * r * (2 ** logN + p);
}

function kindOf(hash: string): string {
  if (hash.startsWith('$apr1$') || hash.startsWith('$1$')) return 'an MD5 hash';
  if (hash.startsWith('{SHA}')) return 'a SHA-1 hash';
  if (/^\$[56]\$/.test(hash)) return 'a SHA-2 crypt hash';
  if (hash.startsWith('$2')) return 'a bcrypt hash that is malformed or too costly';
  return 'something else';
}
