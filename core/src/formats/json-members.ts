import { createJsonScanner, JsonFormatError, SKIP, type ObjectVisitor, type ValueReader } from './json-scanner.js';
import { slices } from './work-turns.js';

/** A member of the outermost object, or one element of such a member. */
export interface JsonMember {
  readonly key: string;
  readonly value: unknown;
  /** Whether `value` is an element of the array, or a member of the object, under `key`. */
  readonly isElement: boolean;
  /** The name of the inner member; empty for elements of arrays. */
  readonly name: string;
}

/** What becomes of a member: passed over, read whole, or read element by element when it is an array or an object. */
export type Reading = 'skip' | 'whole' | 'elements';

/** The longest text of a value or an element, in bytes. */
const VALUE_LIMIT = 8 * 1024 * 1024;

/**
 * The members of the object that `source` is, in batches, in the order of the text. Neither an index of 700,000 names nor a page of
 * 20,000 files is ever held whole.
 * @throws JsonFormatError
 */
export async function* readJsonMembers(
  source: AsyncIterable<Uint8Array>,
  readingOf: (key: string) => Reading,
): AsyncGenerator<readonly JsonMember[], void, undefined> {
  let found: JsonMember[] = [];
  const scanner = createJsonScanner(members(), VALUE_LIMIT);
  for await (const slice of slices(source)) {
    scanner.write(slice);
    if (found.length > 0) yield found;
    found = [];
  }
  scanner.end();

  function members(): ObjectVisitor {
    return {
      member(key) {
        const reading = readingOf(key);
        if (reading === 'skip') return SKIP;
        return reading === 'whole' ? taking(key, false, '') : elements(key);
      },
      otherwise() {
        throw new JsonFormatError('it is not a JSON object');
      },
    };
  }

  function elements(key: string): ObjectVisitor {
    return {
      member: (name) => taking(key, true, name),
      element: () => taking(key, true, ''),
      otherwise: () => taking(key, false, ''),
    };
  }

  function taking(key: string, isElement: boolean, name: string): ValueReader {
    return (value) => {
      if (value === undefined) throw new JsonFormatError(`it has a value of more than ${VALUE_LIMIT} bytes`);
      found.push({ key, value, isElement, name });
    };
  }
}
