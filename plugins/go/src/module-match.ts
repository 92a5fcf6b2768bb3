/** A list of patterns as `GOPRIVATE` has it: `corp.example.com/*,*.internal.example`. */
export interface ModulePatterns {
  /** As they were written. */
  readonly text: string;
  /** Whether the first elements of `path`, as many as a pattern has, match it (`go help private`). */
  matches(path: string): boolean;
}

/**
 * Reads patterns, separated by commas. Each is a glob of Go's `path.Match`; it covers the paths below what it matches,
 * by elements: `example.com/a` covers `example.com/a/b`, and not `example.com/ab`.
 * @throws SyntaxError for a pattern with an unclosed class or a trailing backslash
 */
export function modulePatterns(text: string): ModulePatterns {
  const globs = text
    .split(',')
    .map((glob) => glob.trim().replace(/\/+$/, ''))
    .filter((glob) => glob !== '')
    .map((glob) => glob.split('/').map(elementRegex));
  return {
    text,
    matches(path) {
      const elements = path.split('/');
      return globs.some(
        (glob) => glob.length <= elements.length && glob.every((regex, index) => regex.test(elements[index] as string)),
      );
    },
  };
}

function elementRegex(glob: string): RegExp {
  let regex = '';
  for (let at = 0; at < glob.length; at += 1) {
    const sign = glob[at] as string;
    if (sign === '*') regex += regex.endsWith('[^/]*') ? '' : '[^/]*';
    else if (sign === '?') regex += '[^/]';
    else if (sign === '\\') {
      at += 1;
      if (at === glob.length) throw new SyntaxError(`the pattern ${JSON.stringify(glob)} ends in a backslash`);
      regex += literal(glob[at] as string);
    } else if (sign === '[') {
      const end = glob.indexOf(']', at + 2);
      if (end === -1) throw new SyntaxError(`the pattern ${JSON.stringify(glob)} has an unclosed "["`);
      const body = glob.slice(at + 1, end).replace(/[\\\]]/g, '\\$&');
      regex += `[${body}]`;
      at = end;
    } else regex += literal(sign);
  }
  return new RegExp(`^${regex}$`);
}

function literal(sign: string): string {
  return sign.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
