import { describe, expect, it } from 'vitest';
import { textLine, textLogger } from '../../src/log/text-log.js';

const NOON = new Date(2026, 10, 28, 12, 5, 9);

describe('the log for people', () => {
  it('says of a request what became of it, and who asked', () => {
    const fields = {
      id: 'x-1',
      client: '192.0.2.1',
      user: 'ci',
      method: 'PUT',
      path: '/uploads/a.zip',
      status: 201,
      bytes: 0,
      duration: 3.4567,
      repository: 'uploads',
      outcome: 'upload',
      resource: 'file',
      code: undefined,
    };
    expect(textLine(NOON, 'info', fields, 'request')).toBe(
      '12:05:09 info  PUT /uploads/a.zip 201 upload 0 B 3ms  client=192.0.2.1  user=ci\n',
    );
    expect(textLine(NOON, 'info', { ...fields, bytes: 12_345, outcome: undefined }, 'request')).toContain(
      '/uploads/a.zip 201 12.3 kB 3ms',
    );
  });

  it('shows the fields of other messages', () => {
    const fields = { listen: ['http://a', 'http://b'], count: 5, nested: { a: 1 }, none: undefined };
    expect(textLine(NOON, 'info', fields, 'serving')).toBe(
      '12:05:09 info  serving  listen=http://a, http://b  count=5  nested={"a":1}\n',
    );
  });

  it('gives an error its message, and its stack where the server itself failed', () => {
    const err = new Error('the disk is full', { cause: new Error('ENOSPC') });
    expect(textLine(NOON, 'warn', { err }, 'kept nothing')).toBe('12:05:09 warn  kept nothing: the disk is full\n');
    const line = textLine(NOON, 'error', { error: err }, 'kept nothing');
    expect(line).toMatch(/kept nothing\nError: the disk is full\n {4}at /);
    expect(line).toContain('caused by Error: ENOSPC');
  });

  it('lets nothing that came from outside steer the terminal', () => {
    const line = textLine(NOON, 'info', { path: '/a\u001b[2J\u001b]0;x\u0007\u009b1m', long: 'x'.repeat(5000) }, 'odd');
    expect(line.slice(0, -1)).not.toMatch(/\p{Cc}/u);
    expect(line.length).toBeLessThan(500);
  });

  it.each([
    ['debug', 4],
    ['info', 3],
    ['error', 1],
    ['silent', 0],
  ] as const)('has the messages from %s on', (level, count) => {
    const lines: string[] = [];
    const logger = textLogger(level, (line) => lines.push(line));
    logger.debug({}, 'a');
    logger.info({}, 'b');
    logger.warn({}, 'c');
    logger.error({}, 'd');
    expect(lines).toHaveLength(count);
  });
});
