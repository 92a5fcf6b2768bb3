const WORDS = [
  'name',
  '__proto__',
  'constructor',
  'dist',
  'versions',
  'ключ',
  '鍵',
  '🔑',
  'a"b',
  'back\\slash',
  '',
  'x\u0000y',
  'line\nbreak',
];

/** Any JSON value, with the shapes that break hand-written readers. */
export function randomJsonValue(random: () => number, depth = 0): unknown {
  const kind = Math.floor(random() * (depth > 4 ? 6 : 8));
  switch (kind) {
    case 0:
      return null;
    case 1:
      return random() < 0.5;
    case 2:
      return Math.floor(random() * 1e6) - 5e5;
    case 3:
      return (random() - 0.5) * 10 ** Math.floor(random() * 40 - 20);
    case 4:
      return pick(random, WORDS);
    case 5:
      return 'é✓🔒"\\/\b\f\n\r\t'.repeat(Math.floor(random() * 4));
    case 6:
      return Array.from({ length: Math.floor(random() * 4) }, () => randomJsonValue(random, depth + 1));
    default:
      return randomJsonObject(random, depth + 1);
  }
}

/** A JSON object with the keys that break hand-written readers. */
export function randomJsonObject(random: () => number, depth = 0): Record<string, unknown> {
  const object: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (let left = Math.floor(random() * 5); left > 0; left--)
    object[pick(random, WORDS)] = randomJsonValue(random, depth);
  return object;
}

/** One of `choices`. */
export function pick<T>(random: () => number, choices: readonly T[]): T {
  return choices[Math.floor(random() * choices.length)] as T;
}

/** `value` as JSON text with random white space and escapes: the same value for a parser, other bytes. */
export function spellJson(random: () => number, value: unknown): string {
  const gap = (): string => pick(random, ['', '', '', ' ', '\n  ', '\t', '\r\n']);
  if (Array.isArray(value)) {
    return `[${gap()}${value.map((each) => `${spellJson(random, each)}${gap()}`).join(',')}]`;
  }
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(
      ([key, member]) => `${gap()}${spellJson(random, key)}${gap()}:${gap()}${spellJson(random, member)}${gap()}`,
    );
    return `{${gap()}${members.join(',')}}`;
  }
  const text = JSON.stringify(value);
  if (typeof value !== 'string' || random() < 0.7) return text;
  return `"${Array.from({ length: value.length }, (_, at) => `\\u${value.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')}"`;
}
