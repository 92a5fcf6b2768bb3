import { describe, expect, it } from 'vitest';
import { phraseOf } from '../../src/engine/policy/denial.js';

const URL = 'http://127.0.0.1:8080/-/explain/pkg:npm/rotten@1.0.0';

describe('the phrase of a status line', () => {
  it('is the text, where that is short enough', () => {
    expect(phraseOf(`denied. See ${URL}`)).toBe(`denied. See ${URL}`);
  });

  it('keeps the rule and the URL of a longer one', () => {
    const phrase = phraseOf(`policy refuses it: ${'malicious '.repeat(20)}(rule malware). See ${URL}`);
    expect(phrase).toMatch(/^policy refuses it: malicious/);
    expect(phrase.endsWith(` (rule malware) ${URL}`)).toBe(true);
    expect(phrase).toHaveLength(160);
  });

  it('keeps the URL alone where there is no room for both', () => {
    const phrase = phraseOf(`refused: ${'x'.repeat(150)} (rule ${'r'.repeat(80)}). See ${URL}`);
    expect(phrase.endsWith(`x ${URL}`)).toBe(true);
    expect(phrase).toHaveLength(160);
  });

  it('holds nothing that could end the line', () => {
    expect(phraseOf('denied\r\nSet-Cookie: a=b')).toBe('denied?Set-Cookie: a=b');
  });
});
