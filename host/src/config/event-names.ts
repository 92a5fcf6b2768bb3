/** Events that streams and webhooks tell. */
export const EVENT_NAMES = [
  'kept',
  'denied',
  'held',
  'newly-vulnerable',
  'exception-ending',
  'healed',
  'quota',
  'upstream-down',
  'upstream-up',
] as const;

export type EventName = (typeof EVENT_NAMES)[number];
