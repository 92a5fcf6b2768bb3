import { expect, it } from 'vitest';
import { newSpanContext, parseTraceparent, printTraceparent } from '../../../src/drivers/tracing/trace-context.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

it.each([
  [`00-${TRACE}-${SPAN}-01`, true],
  [`00-${TRACE}-${SPAN}-00`, false],
  [`00-${TRACE}-${SPAN}-03`, true],
  [`cc-${TRACE}-${SPAN}-01-what-comes-later`, true],
])('reads %s', (text, sampled) => {
  expect(parseTraceparent(text)).toEqual({ traceId: TRACE, spanId: SPAN, sampled });
});

it.each([
  undefined,
  '',
  `ff-${TRACE}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}-01-more`,
  `00-${'0'.repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${'0'.repeat(16)}-01`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}`,
  `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
])('takes %s for none', (text) => {
  expect(parseTraceparent(text)).toBeUndefined();
});

it('prints what it reads', () => {
  const begun = newSpanContext(undefined, true);
  expect(parseTraceparent(printTraceparent(begun))).toEqual(begun);
  const below = newSpanContext(begun, false);
  expect([below.traceId, below.spanId === begun.spanId]).toEqual([begun.traceId, false]);
  expect(printTraceparent(below)).toMatch(/-00$/);
});
