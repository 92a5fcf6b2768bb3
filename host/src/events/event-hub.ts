import { randomBytes } from 'node:crypto';
import type { Clock } from '@entrepot/core';
import type { EventName } from '../config/event-names.js';

/** An event of this process. */
export interface ServerEvent {
  /** Names the process, and counts. */
  readonly id: string;
  readonly event: EventName;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Absent: it is of no repository, and for operators alone. */
  readonly repository: string | undefined;
  /** JSON values that whoever may read the repository may know. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Fields that only operators may know, such as the names of callers. */
  readonly operatorFields: Readonly<Record<string, unknown>>;
}

/** Hears an event. Must be quick and must not throw. */
export type EventListener = (event: ServerEvent) => void;

/** The number of events that are remembered for listeners who were away. */
const REMEMBERED = 1_000;

/** The events of one process, the newest of which it remembers. Nothing is printed before somebody wants it. */
export class EventHub {
  readonly #clock: Clock;
  readonly #prefix = randomBytes(6).toString('hex');
  readonly #listeners = new Set<EventListener>();
  readonly #ring: ServerEvent[] = [];
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Tells all who listen. */
  publish(
    event: EventName,
    repository: string | undefined,
    fields: ServerEvent['fields'] = {},
    operatorFields: ServerEvent['fields'] = {},
  ): void {
    this.#count += 1;
    const id = `${this.#prefix}-${this.#count}`;
    const published = { id, event, at: this.#clock.now(), repository, fields, operatorFields };
    this.#ring[this.#count % REMEMBERED] = published;
    for (const listener of this.#listeners) listener(published);
  }

  /** @returns ends it */
  listen(listener: EventListener): () => void {
    // One of its own: two that are the same function are two.
    const own: EventListener = (event) => listener(event);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** Lists the events after that with the id. `undefined`: some of them are forgotten, or it is of another process. */
  after(id: string): readonly ServerEvent[] | undefined {
    const [prefix, digits = ''] = id.split('-');
    const last = /^\d{1,15}$/.test(digits) ? Number(digits) : Infinity;
    if (prefix !== this.#prefix || last > this.#count || this.#count - last > REMEMBERED) return undefined;
    const missed: ServerEvent[] = [];
    for (let number = last + 1; number <= this.#count; number += 1)
      missed.push(this.#ring[number % REMEMBERED] as ServerEvent);
    return missed;
  }
}

/** The JSON object of an event, as streams and webhooks send it. @param isOperator whether whoever gets it may know all */
export function printEvent(
  { id, event, at, repository, fields, operatorFields }: ServerEvent,
  isOperator: boolean,
): string {
  const own = isOperator ? operatorFields : {};
  return JSON.stringify({ id, event, at: new Date(at).toISOString(), repository, ...fields, ...own });
}
