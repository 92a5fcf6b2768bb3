import { packageUrl } from '@entrepot/core';
import type { DecisionRecord } from '../drivers/sql/decision-log.js';
import type { KeptException } from '../drivers/sql/exception-store.js';
import type { EventHub } from '../events/event-hub.js';
import type { NewFindings } from '../scanning/scanner-updates.js';

/** Tells that a version was refused. */
export function tellRefused(
  hub: EventHub,
  event: 'denied' | 'held',
  { repository, coordinates, rules, caller }: DecisionRecord,
): void {
  const reasons = rules.map(({ id, action, reason, findings }) => ({ id, action, reason, findings }));
  hub.publish(event, repository, { purl: packageUrl(coordinates), rules: reasons }, { caller });
}

/** Tells that a newer advisory database has found something in a cached copy. */
export function tellNewFindings(hub: EventHub, { artifact, scanner, findings }: NewFindings): void {
  const { repository, digest, coordinates } = artifact;
  hub.publish('newly-vulnerable', repository, { purl: packageUrl(coordinates), digest, scanner, findings });
}

/** Tells that an exception is about to end. */
export function tellExceptionEnding(
  hub: EventHub,
  { id, scope, rules, advisories, reason, ticket, approvedBy, expiresAt }: KeptException,
): void {
  const about = { ...scope, rules, advisories, reason, ticket, approvedBy };
  hub.publish('exception-ending', undefined, { exception: id, ...about, expires: new Date(expiresAt).toISOString() });
}
