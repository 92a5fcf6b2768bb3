import { randomJsonObject, spellJson } from '@entrepot/fixtures/random-json';
import { pseudoRandom } from '../../src/testing/index.js';
import { describe, expect, it } from 'vitest';
import { fuzz, piecesOf } from './fuzz.js';
import {
  createJsonScanner,
  DEPTH_LIMIT,
  JsonFormatError,
  READ_LIMIT,
  SKIP,
  type Instruction,
  type ObjectVisitor,
} from '../../src/formats/json-scanner.js';

const nothing: ObjectVisitor = { member: () => SKIP };

function scan(text: string | Buffer, root: ObjectVisitor = nothing, pieceSize = Infinity): void {
  const bytes = Buffer.from(text);
  const scanner = createJsonScanner(root);
  for (let at = 0; at < bytes.length; at += pieceSize)
    scanner.write(bytes.subarray(at, Math.min(bytes.length, at + pieceSize)));
  scanner.end();
}

/** Accepts what JSON.parse accepts, objects only. */
function oracleAccepts(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

const strict: ObjectVisitor = {
  member: () => SKIP,
  otherwise() {
    throw new JsonFormatError('not an object');
  },
};

function accepts(text: string | Buffer, pieceSize?: number): boolean {
  try {
    scan(text, strict, pieceSize);
    return true;
  } catch (error) {
    if (error instanceof JsonFormatError) return false;
    throw error;
  }
}

/** Puts a text together again from the places of its members at every depth. */
function rebuilding(text: string): { readonly visitor: ObjectVisitor; text(): string } {
  const bytes = Buffer.from(text);
  const open: string[][] = [];
  let last = '';
  let wasObject = false;
  const visitor: ObjectVisitor = {
    enter: () => void open.push([]),
    member: () => {
      wasObject = false;
      return visitor;
    },
    ended(key, start, valueStart, end) {
      expect(JSON.parse(/^"[^]*"(?=\s*:\s*$)/.exec(bytes.toString('utf8', start, valueStart))?.[0] ?? '0')).toBe(key);
      const value = wasObject ? last : bytes.toString('utf8', valueStart, end);
      open.at(-1)?.push(`${JSON.stringify(key)}:${value}`);
      wasObject = false;
    },
    leave() {
      last = `{${open.pop()?.join(',')}}`;
      wasObject = true;
    },
  };
  return { visitor, text: () => last };
}

/** Everything again, by the visitor that asks for every member at every depth. */
function rebuild(text: string, pieceSize: number): string {
  const rebuilt = rebuilding(text);
  scan(text, rebuilt.visitor, pieceSize);
  return reprint(rebuilt.text());
}

/** Prints the parsed text in one spelling: comparing objects would trip over members like `constructor`. */
function reprint(text: string): string {
  return JSON.stringify(JSON.parse(text));
}

describe('the JSON scanner', () => {
  it.each([
    '{}',
    ' { } ',
    '{"a":1}',
    '{"a":-0}',
    '{"a":-0.5e-10}',
    '{"a":1E+2}',
    '{"a":0}',
    '{"a":[ ]}',
    '{"a":[1,[2,{"b":[]}]]}',
    '{"a":true,"b":false,"c":null}',
    '{"a":"\\u00e9\\ud83d\\ude00\\"\\\\\\/\\b\\f\\n\\r\\t"}',
    '{"":{"":""}}',
    '{"a":1,"a":2}',
    '{"\\u0061":"\\ud800"}',
    '',
    ' ',
    '{',
    '}',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{,}',
    '{"a":1 "b":2}',
    '{"a":01}',
    '{"a":-}',
    '{"a":1.}',
    '{"a":.5}',
    '{"a":1e}',
    '{"a":1e+}',
    '{"a":+1}',
    '{"a":tru}',
    '{"a":truE}',
    '{"a":nul}',
    '{"a":[1,]}',
    '{"a":[,]}',
    '{"a":[1}',
    '{"a":{]}',
    '{a:1}',
    "{'a':1}",
    '{"a":"\n"}',
    '{"a":"\\x"}',
    '{"a":"\\u12g4"}',
    '{"a":1}{',
    '{"a":1} x',
    '[]',
    '"a"',
    '1',
    'null',
    '{"a":NaN}',
    '{"a":1}}',
    '{"a":"',
    '{"a":"\\',
    '{"a":"\\u12',
    '\uFEFF{}',
    '{"a":1/**/}',
    '{"a":"\u007f"}',
    '{"a":"\u2028"}',
    '<!doctype html><title>Sign in</title>',
    '{"a" 1}',
    '{"a"::1}',
    '{1:2}',
    '{"a":0x10}',
    '{"a":1\u00a0}',
  ])('judges %j as JSON.parse does', (text) => {
    expect(accepts(text)).toBe(oracleAccepts(text));
    expect(accepts(text, 1)).toBe(oracleAccepts(text));
  });

  it('judges damaged texts as JSON.parse does', () => {
    const random = pseudoRandom(7);
    const judged = { good: 0, bad: 0 };
    for (let round = 0; round < 3_000; round++) {
      const bytes = Buffer.from(spellJson(random, randomJsonObject(random)));
      if (bytes.length > 0) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 128);
      const text = bytes.toString();
      const expected = oracleAccepts(text);
      judged[expected ? 'good' : 'bad']++;
      expect(accepts(bytes, 1 + Math.floor(random() * 9)), text).toBe(expected);
    }
    expect(judged.good).toBeGreaterThan(300);
    expect(judged.bad).toBeGreaterThan(300);
  });

  it('refuses every text that ends too early', () => {
    const text = '{"a":[1,{"b":"c\\u00e9"}],"d":-1.5e3,"e":true}';
    for (let length = 0; length < text.length; length++)
      expect(accepts(text.slice(0, length)), text.slice(0, length)).toBe(false);
    expect(accepts(text)).toBe(true);
  });

  it('finds the same members wherever the pieces end', () => {
    const random = pseudoRandom(11);
    for (let round = 0; round < 60; round++) {
      const text = spellJson(random, randomJsonObject(random));
      const expected = reprint(text);
      for (const pieceSize of [1, 2, 3, 5, 7, 64, Infinity]) expect(rebuild(text, pieceSize)).toBe(expected);
    }
  });

  it('finds the same members with one cut at every byte', () => {
    const text = '{"ké\\n🔑":"✓\\ud83d\\ude00","deep":{"n":[1.5,-2e3,{"x":"y"}],"t":true},"__proto__":null,"last":12}';
    const bytes = Buffer.from(text);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const rebuilt = rebuilding(text);
      const scanner = createJsonScanner(rebuilt.visitor);
      scanner.write(bytes.subarray(0, cut));
      scanner.write(bytes.subarray(cut));
      scanner.end();
      expect(reprint(rebuilt.text())).toBe(reprint(text));
    }
  });

  it('tells the place of every value, whatever is done with it', () => {
    const value = '{ "x" : [ 1.0 , 1e1, "\\u0041" ] }';
    const text = `{"skip": ${value} ,"read":${value}, "visit" : ${value}\n,"also": 2}`;
    const uses: Readonly<Record<string, Instruction>> = { read: () => {}, visit: { member: () => SKIP } };
    for (const pieceSize of [1, 4, Infinity]) {
      const found: string[] = [];
      const ended = (_key: string, start: number, valueStart: number, end: number): void => {
        found.push(`${text.slice(start, valueStart)}|${text.slice(valueStart, end)}`);
      };
      scan(text, { member: (key) => uses[key] ?? SKIP, ended }, pieceSize);
      expect(found).toStrictEqual([`"skip": |${value}`, `"read":|${value}`, `"visit" : |${value}`, `"also": |2`]);
    }
  });

  it('reads values of every kind, and every one of two with the same key', () => {
    const text = '{"a":"\\u00e9✓","b":[1,{"c":null}],"c":-1.5,"d":true,"a":{}}';
    for (const pieceSize of [1, 3, Infinity]) {
      const found: [string, unknown][] = [];
      scan(text, { member: (key) => (value) => void found.push([key, value]) }, pieceSize);
      expect(found).toStrictEqual([
        ['a', 'é✓'],
        ['b', [1, { c: null }]],
        ['c', -1.5],
        ['d', true],
        ['a', {}],
      ]);
    }
  });

  it('does not read a value that is too long, and goes on after it', () => {
    const found: [string, unknown][] = [];
    const text = JSON.stringify({ long: 'x'.repeat(READ_LIMIT), fits: 'x'.repeat(READ_LIMIT - 2), after: 1 });
    scan(text, { member: (key) => (value) => void found.push([key, value]) }, 1_000);
    expect(found.map(([key, value]) => [key, value === undefined ? undefined : String(value).length])).toStrictEqual([
      ['long', undefined],
      ['fits', READ_LIMIT - 2],
      ['after', 1],
    ]);
  });

  it('tells a visitor of an object that it is none', () => {
    for (const value of ['null', '[]', '"x"', '1', 'true']) {
      const seen: unknown[] = [];
      const read = (found: unknown): void => void seen.push(found);
      const inner = (otherwise: () => typeof SKIP | typeof read): Instruction => ({ member: () => SKIP, otherwise });
      scan(
        `{"a":${value},"b":${value},"c":${value}}`,
        {
          member: (key) =>
            key === 'c' ? { member: () => SKIP } : inner(() => (seen.push(key), key === 'a' ? read : SKIP)),
        },
        1,
      );
      expect(seen).toStrictEqual(['a', JSON.parse(value), 'b']);
    }
  });

  it('refuses nesting past its limit, whether it looks or not', () => {
    const nested = (depth: number): string => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
    expect(accepts(nested(DEPTH_LIMIT))).toBe(true);
    expect(accepts(nested(DEPTH_LIMIT + 1))).toBe(false);
    expect(accepts(`{"a":${'['.repeat(5_000_000)}`)).toBe(false);
  });

  it('refuses a key of megabytes without keeping it', () => {
    const scanner = createJsonScanner(nothing);
    scanner.write(Buffer.from('{"'));
    expect(() => {
      for (let round = 0; round < 64; round++) scanner.write(Buffer.alloc(64 * 1024, 'k'));
    }).toThrow(JsonFormatError);
  });

  it('says where a text is wrong, and nothing of what it says', () => {
    expect(() => scan('{"secret":tru!}')).toThrow(/^byte 13: expected true, false or null$/);
  });

  it('finds the same in any bytes wherever the pieces end, and throws nothing but its own error', () => {
    const random = pseudoRandom(13);
    const outcomes = { whole: 0, refused: 0 };
    fuzz(
      random,
      3_000,
      () => Buffer.from(spellJson(random, randomJsonObject(random))),
      (bytes) => {
        const expected = observe([bytes]);
        // As text: comparing objects would trip over members like `constructor`.
        expect(JSON.stringify(observe(piecesOf(random, bytes)))).toBe(JSON.stringify(expected));
        outcomes[expected.error === undefined ? 'whole' : 'refused']++;
      },
    );
    expect(outcomes.whole).toBeGreaterThan(100);
    expect(outcomes.refused).toBeGreaterThan(1_000);
  });
});

/** Observes what a visitor sees that reads some members, passes over others, and visits the rest, with the place of each. */
function observe(pieces: Iterable<Buffer>): { seen: unknown[]; error: string | undefined } {
  const seen: unknown[] = [];
  const visitor: ObjectVisitor = {
    enter: () => void seen.push('{'),
    ended: (...place) => void seen.push(place),
    leave: () => void seen.push('}'),
    otherwise: () => (value) => void seen.push(value),
    member(key): Instruction {
      seen.push(key);
      return [SKIP, visitor, (value: unknown) => void seen.push(value)][key.length % 3] as Instruction;
    },
  };
  const scanner = createJsonScanner(visitor);
  let error: string | undefined;
  try {
    for (const piece of pieces) scanner.write(piece);
    scanner.end();
  } catch (thrown) {
    if (!(thrown instanceof JsonFormatError)) throw thrown;
    error = thrown.message;
  }
  return { seen, error };
}
