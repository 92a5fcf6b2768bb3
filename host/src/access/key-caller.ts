import type { Caller } from '@entrepot/core';
import type { KnownKey } from './api-keys.js';

const SUBJECT = 'key:';

/** The bearer of a key. */
export class KeyCaller implements Caller {
  readonly name: string;
  readonly may: Caller['may'];
  readonly mayWithNewToken?: NonNullable<Caller['mayWithNewToken']>;
  /** The subject of tokens that are issued for the key: by its id, for another key may have its name later. */
  readonly subject: string;

  constructor({ id, caller }: KnownKey, may: Caller['may'], mayWithNewToken?: NonNullable<Caller['mayWithNewToken']>) {
    this.name = caller;
    this.subject = SUBJECT + id;
    this.may = may;
    if (mayWithNewToken !== undefined) this.mayWithNewToken = mayWithNewToken;
  }
}

/** The id of the key that a token was issued for. `undefined`: it was issued for a user, whose name has no colon. */
export function keyOfSubject(subject: string): string | undefined {
  return subject.startsWith(SUBJECT) ? subject.slice(SUBJECT.length) : undefined;
}
