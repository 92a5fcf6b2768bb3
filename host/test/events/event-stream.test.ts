import { ManualClock } from '@entrepot/core/testing';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { EventHub, type ServerEvent } from '../../src/events/event-hub.js';
import { EventStream, MOST_WAITING, type EventStreamOptions } from '../../src/events/event-stream.js';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

const all = (): 'all' => 'all';

function open(hub: EventHub, more: Partial<EventStreamOptions> = {}): EventStream {
  const stream = new EventStream({ hub, sight: all, heartbeat: 15_000, lookAgain: async () => all, ...more });
  onTestFinished(() => void stream.destroy());
  return stream;
}

/** Reads what has come. */
function read(stream: EventStream): string {
  return String((stream.read() as Buffer | null) ?? '');
}

/** The names of events in a text. */
function namesIn(text: string): string[] {
  return [...text.matchAll(/^event: (.*)$/gm)].map(([, name]) => name as string);
}

describe('a stream of events', () => {
  it('tells events as they come, with what its reader may know', () => {
    const hub = new EventHub(new ManualClock());
    const sight = ({ repository }: ServerEvent) => (repository === 'npm' ? ('public' as const) : undefined);
    const [operator, reader] = [open(hub), open(hub, { sight })];
    expect([read(operator), read(reader)]).toEqual(['retry: 3000\n\n', 'retry: 3000\n\n']);
    hub.publish('denied', 'npm', { purl: 'pkg:npm/a@1' }, { caller: 'ann' });
    hub.publish('kept', 'other', { purl: 'pkg:npm/b@1' });
    hub.publish('healed', undefined, { digest: 'sha256:0' });
    const known = read(operator);
    expect(namesIn(known)).toEqual(['denied', 'kept', 'healed']);
    expect(known).toMatch(
      /^id: ([0-9a-f]{12}-1)\nevent: denied\ndata: \{"id":"\1","event":"denied","at":"2026-01-01T00:00:00.000Z","repository":"npm","purl":"pkg:npm\/a@1","caller":"ann"\}\n\n/,
    );
    const seen = read(reader);
    expect(namesIn(seen)).toEqual(['denied']);
    expect(seen).not.toContain('ann');
  });

  it('tells what was missed, or that it is not known', () => {
    const hub = new EventHub(new ManualClock());
    const first = open(hub);
    for (let number = 0; number < 1_002; number += 1) hub.publish('kept', 'npm', { number });
    const ids = [...read(first).matchAll(/^id: (.*)$/gm)].map(([, id]) => id as string);
    const last = (number: number): string => `${ids[0]?.split('-')[0]}-${number}`;
    // Of those that came in one second only some were told.
    expect(ids.at(-1)).toBe(last(50));
    expect(namesIn(read(open(hub, { lastId: last(1_000) })))).toEqual(['kept', 'kept']);
    expect(namesIn(read(open(hub, { lastId: last(1_002) })))).toEqual([]);
    expect(namesIn(read(open(hub, { lastId: last(2) })))).toHaveLength(1_000);
    for (const lastId of [last(1), last(1_003), 'x', 'another-5', `${last(1)}x`, '-', last(-1)])
      expect([lastId, namesIn(read(open(hub, { lastId })))]).toEqual([lastId, ['resync']]);
  });

  it('tells the number of events of which too many come in a second', () => {
    const clock = new ManualClock();
    const hub = new EventHub(clock);
    const stream = open(hub);
    for (let number = 0; number < 80; number += 1) hub.publish('kept', 'npm');
    expect(namesIn(read(stream))).toHaveLength(50);
    clock.advance(1_000);
    hub.publish('denied', 'npm');
    expect(read(stream)).toMatch(/^event: omitted\ndata: \{"events":30\}\n\nid: \S+-81\nevent: denied\n/);
  });

  it('keeps the connection open, and ends when its reader may see nothing any more', async () => {
    const hub = new EventHub(new ManualClock());
    let sight: (() => 'all') | undefined = all;
    const stream = open(hub, { lookAgain: async () => sight });
    read(stream);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(read(stream)).toBe(': still here\n\n');
    sight = undefined;
    await vi.advanceTimersByTimeAsync(15_000);
    expect(read(stream)).toBe(': still here\n\nevent: bye\ndata: {}\n\n');
    hub.publish('kept', 'npm');
    expect(read(stream)).toBe('');
  });

  it('is cut when its reader is too slow', () => {
    const hub = new EventHub(new ManualClock());
    const clock = new ManualClock();
    const busy = new EventHub(clock);
    const stream = open(busy);
    let sent = 0;
    while (!stream.destroyed && sent < 10_000) {
      clock.advance(1_000);
      busy.publish('kept', 'npm', { text: 'x'.repeat(1_000) });
      sent += 1;
    }
    expect(stream.destroyed).toBe(true);
    expect(sent * 1_000).toBeLessThan(MOST_WAITING);
    const other = open(hub);
    hub.publish('denied', 'npm', { purl: 'pkg:npm/a@1', rules: 'x'.repeat(40_000) });
    expect(read(other)).toMatch(/"purl":"pkg:npm\/a@1","shortened":true\}\n\n$/);
  });
});
