import { describe, expect, it } from 'vitest';
import { headerText } from '../../src/engine/request/header-text.js';

/** As a header parser reads bytes that were sent as UTF-8. */
const latin1 = (text: string): string => Buffer.from(text).toString('latin1');

describe('the text of a header', () => {
  // Values and names are those of the test cases for RFC 2231 and RFC 6266 of greenbytes.
  it.each([
    'attachment; filename="foo.html"',
    `attachment; filename="foo-%41.html"`,
    `attachment; filename*=UTF-8''foo-%c3%a4-%e2%82%ac.html`,
    `attachment; filename="foo-ae.html"; filename*=UTF-8''foo-%c3%a4.html`,
    'inline',
    'attachment; filename="f\\oo.html"',
  ])('is passed on as it is where it is printable ASCII: %s', (value) => {
    expect(headerText('content-disposition', value)).toBe(value);
  });

  it.each([
    ['attachment; filename="foo-ä.html"', `attachment; filename="foo-_.html"; filename*=UTF-8''foo-%C3%A4.html`],
    ['attachment; filename=foo-ä.html', `attachment; filename="foo-_.html"; filename*=UTF-8''foo-%C3%A4.html`],
    [
      'INLINE; filename="€ \\"x\\" 100%.txt"',
      `inline; filename="_ _x_ 100_.txt"; filename*=UTF-8''%E2%82%AC%20%22x%22%20100%25.txt`,
    ],
    [
      `attachment; filename="ä.html"; filename*=UTF-8''%c3%a4.html`,
      `attachment; filename="_.html"; filename*=UTF-8''%c3%a4.html`,
    ],
    ['attachment; filename="ä\'(*).txt"', `attachment; filename="_'(*).txt"; filename*=UTF-8''%C3%A4%27%28%2A%29.txt`],
    ['attachment; name="ä"', 'attachment'],
    ['ä; filename="x"', `attachment; filename="x"; filename*=UTF-8''x`],
  ])('names a file in a way that every client reads: %s', (value, expected) => {
    expect(headerText('Content-Disposition', value)).toBe(expected);
    expect(headerText('Content-Disposition', latin1(value))).toBe(expected);
  });

  it('is read as ISO-8859-1 where it is no UTF-8', () => {
    const expected = `attachment; filename="caf_.txt"; filename*=UTF-8''caf%C3%A9.txt`;
    expect(headerText('content-disposition', 'attachment; filename="caf\u00e9.txt"')).toBe(expected);
  });

  it.each(['content-disposition', 'link', 'content-type', 'x-anything', 'WWW-Authenticate'])(
    'of %s never holds what could end it',
    (name) => {
      const ends = [
        '\r\n',
        '\u010d\u010a',
        latin1('\u010d\u010a'),
        '\u0000',
        '\u0085',
        '\u007f',
        '\ud800',
        '\u560d\u560a',
      ];
      for (const end of ends) {
        const sent = headerText(name, `a; filename="x${end}Set-Cookie: evil=1${end}y"`);
        expect([end, sent]).toEqual([end, expect.stringMatching(/^[\u0020-\u007e]*$/)]);
      }
    },
  );

  it('holds URLs with their text encoded', () => {
    expect(headerText('link', '</v2/n/tags/list?last=ä>; rel="next"')).toBe(
      '</v2/n/tags/list?last=%C3%A4>; rel="next"',
    );
  });
});
