import { Readable } from 'node:stream';
import { printEvent, type EventHub, type ServerEvent } from './event-hub.js';

/** The part of an event that a listener gets. `undefined`: none of it. */
export type Sight = (event: ServerEvent) => 'all' | 'public' | undefined;

export interface EventStreamOptions {
  readonly hub: EventHub;
  readonly sight: Sight;
  /** The last event that the client has got: those after it come first, where they are remembered. */
  readonly lastId?: string | undefined;
  /** Milliseconds between comments that keep the connection open. */
  readonly heartbeat: number;
  /** Called at each heartbeat; what it resolves with is the sight from then on. `undefined` ends the stream. */
  readonly lookAgain: () => Promise<Sight | undefined>;
}

/** The most bytes that wait for a slow reader. More, and its connection is cut: it comes again, and says what it has got. */
export const MOST_WAITING = 256 * 1024;
/** Events of one second that are told one by one; of more there is a number. */
const MOST_A_SECOND = 50;
const SECOND = 1_000;
/** The longest event; a longer one is told without its details. Characters. */
const LONGEST = 32 * 1024;
/** Milliseconds after which clients come again. */
const RETRY = 3_000;

/** Events as a stream of `text/event-stream` (HTML Living Standard, section 9.2). */
export class EventStream extends Readable {
  readonly #options: EventStreamOptions;
  readonly #unlisten: () => void;
  readonly #timer: NodeJS.Timeout;
  #sight: Sight;
  #second = 0;
  #told = 0;
  #omitted = 0;

  constructor(options: EventStreamOptions) {
    super({ highWaterMark: MOST_WAITING });
    this.#options = options;
    this.#sight = options.sight;
    const { hub, lastId, heartbeat } = options;
    this.#write(`retry: ${RETRY}\n\n`);
    const missed = lastId === undefined ? [] : hub.after(lastId);
    if (missed === undefined) this.#write('event: resync\ndata: {}\n\n');
    for (const event of missed ?? []) this.#send(event);
    this.#unlisten = hub.listen((event) => this.#tell(event));
    this.#timer = setInterval(() => void this.#beat(), heartbeat).unref();
  }

  /** Says good-bye, and ends: the client comes again by itself. */
  bye(): void {
    if (this.destroyed || this.readableEnded) return;
    this.#stop();
    this.#write('event: bye\ndata: {}\n\n');
    this.push(null);
  }

  override _read(): void {}

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#stop();
    callback(error);
  }

  #stop(): void {
    this.#unlisten();
    clearInterval(this.#timer);
  }

  #tell(event: ServerEvent): void {
    const second = Math.floor(event.at / SECOND);
    if (second !== this.#second) {
      this.#tellOmitted();
      this.#second = second;
      this.#told = 0;
    }
    if (this.#sight(event) === undefined) return;
    this.#told += 1;
    if (this.#told > MOST_A_SECOND) this.#omitted += 1;
    else this.#send(event);
  }

  #tellOmitted(): void {
    if (this.#omitted === 0) return;
    this.#write(`event: omitted\ndata: {"events":${this.#omitted}}\n\n`);
    this.#omitted = 0;
  }

  #send(event: ServerEvent): void {
    const sight = this.#sight(event);
    if (sight === undefined) return;
    const whole = printEvent(event, sight === 'all');
    const { purl } = event.fields;
    const data =
      whole.length <= LONGEST
        ? whole
        : printEvent({ ...event, fields: { purl, shortened: true }, operatorFields: {} }, false);
    this.#write(`id: ${event.id}\nevent: ${event.event}\ndata: ${data}\n\n`);
  }

  async #beat(): Promise<void> {
    this.#tellOmitted();
    this.#write(': still here\n\n');
    const sight = await this.#options.lookAgain().catch(() => undefined);
    if (sight === undefined) this.bye();
    else this.#sight = sight;
  }

  #write(text: string): void {
    if (this.destroyed || this.readableEnded) return;
    if (this.readableLength + text.length > MOST_WAITING) this.destroy();
    else this.push(text);
  }
}
