/** One challenge of a `WWW-Authenticate` header (RFC 9110 §11.6.1). */
export interface Challenge {
  /** Lower-case: `bearer`. */
  readonly scheme: string;
  /** By lower-case name; unquoted. */
  readonly parameters: ReadonlyMap<string, string>;
}

const GAP = /[\s,]*/y;
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const TOKEN68 = /[ \t]+[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y;
const VALUE = /[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))/y;

/** The challenges of a header, several fields joined by `, `. What is malformed is left out. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  while (at < header.length) {
    take(GAP);
    const name = take(TOKEN)?.[0].toLowerCase();
    if (name === undefined) {
      at += 1;
      continue;
    }
    // A list of challenges and the parameters of each are parted by the same comma: only `=` tells them apart.
    const value = take(VALUE);
    if (value !== null) {
      challenges.at(-1)?.parameters.set(name, value[1]?.replaceAll(/\\(.)/g, '$1') ?? (value[2] as string));
      continue;
    }
    challenges.push({ scheme: name, parameters: new Map() });
    take(TOKEN68);
  }
  return challenges;
}
