import { pseudoRandom } from '@entrepot/core/testing';

/** Text that parsers have run away on: a unit, many times, between a beginning and an end. */
const BEGINNINGS = ['', '1.0', 'v1.0.0', '1!1.0', 'pkg:', 'pkg:npm/x@', '@', '/', '<', 'x-1.0', 'sha256:', 'a.test/'];
const UNITS = [
  ...`a 0 1 z9 . .0 - -a _ + ~ / // /a @ @a : :@p % * *- **/ < <a\u00a0href= ( [ { [], {"a": " \\ ' ; , a, &a= = ! # ? .. ../ rc1 .dev1 -1 é`.split(
    ' ',
  ),
  ...'😀 中 aA $ ^ | tar.gz'.split(' '),
  ...[' ', '\t', '\u0000', '\n', '\r\n '].values(),
];
const ENDS = ['', '~', '!', 'x', '.', '-', '/', '\u0000', '\n', '@', '.tgz', '-1.0-py3-none-any.whl'];
/** From what a person writes, over what a path may have, up to the longest. */
const LENGTHS = [40, 60, 250, 1000, 2500, 2500, 7000, 64 * 1024];

/** `count` strings, the same in every run. */
export function hostileStrings(count: number): string[] {
  const random = pseudoRandom(20_261_128);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  return Array.from({ length: count }, (_, index) => {
    const unit = (UNITS[index % UNITS.length] as string) + (random() < 0.3 ? pick(UNITS) : '');
    const [beginning, end] = [pick(BEGINNINGS), pick(ENDS)];
    const length = pick(LENGTHS);
    return (
      beginning + unit.repeat(Math.max(1, Math.floor((length - beginning.length - end.length) / unit.length))) + end
    );
  });
}
