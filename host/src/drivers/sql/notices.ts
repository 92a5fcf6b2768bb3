import type { Logger } from '@entrepot/core';
import type { Kysely } from 'kysely';
import type { Schema } from './schema.js';

/** Hears a notice. Without a payload: some may have been missed, look for yourself. Must not throw. */
export type NoticeHandler = (payload: string | undefined) => void;

/** Processes on one database that wake each other. A notice may be lost: whoever waits for one also looks by itself now and then. */
export interface Notices {
  /** Whether notices come. `false`: they have to be polled for. */
  readonly arrive: boolean;
  /**
   * Sends a notice to all processes that listen, this one too. Never rejects.
   * @param channel a name of lower-case letters and `_`
   * @param payload at most 7,999 bytes
   */
  notify(channel: string, payload: string): Promise<void>;
  /** @returns ends it */
  listen(channel: string, handler: NoticeHandler): () => void;
  dispose(): Promise<void>;
}

/** One process alone has a file: nobody sends a notice, and nobody gets one. */
export const NO_NOTICES: Notices = {
  arrive: false,
  notify: async () => {},
  listen: () => () => {},
  dispose: async () => {},
};

export interface NoticesOptions {
  readonly database: Kysely<Schema>;
  readonly logger: Logger;
}
