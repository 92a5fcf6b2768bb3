import { EntrepotError } from '@entrepot/core';

/**
 * Says of a store or a database that it is not in use: what stands in the place of its id then. No server starts on one.
 */
export type StoreMark =
  | {
      /** It is becoming a copy of the store with this id. */
      readonly copyOf: string;
      /** When the copy of what came first was begun, in milliseconds since the epoch. */
      readonly since: number;
      /** Blobs up to this digest have been copied. */
      readonly after: string;
    }
  | {
      /** It was the store with this id, which now is elsewhere. */
      readonly movedFrom: string;
      /** For people. */
      readonly to: string;
    };

/** Reads what stands in the place of an id. `undefined`: it is an id. */
export function readMark(text: string): StoreMark | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const { copyOf, since, after, movedFrom, to } = JSON.parse(text) as Record<string, unknown>;
    if (typeof copyOf === 'string' && typeof since === 'number' && typeof after === 'string')
      return { copyOf, since, after };
    if (typeof movedFrom === 'string' && typeof to === 'string') return { movedFrom, to };
  } catch {
    // Then it is an id of somebody's own.
  }
  return undefined;
}

/** The text of a mark, for the place of an id. */
export function printMark(mark: StoreMark): string {
  return JSON.stringify(mark);
}

/** The id that a store has, had, or will have. */
export function idIn(text: string): string {
  const mark = readMark(text);
  return mark === undefined ? text : 'copyOf' in mark ? mark.copyOf : mark.movedFrom;
}

/** Explains why a store or a database with a mark is not used, and what to do. @param name of it */
export function explainMark(name: string, mark: StoreMark): string {
  return 'copyOf' in mark
    ? `${name} is a copy that is not finished, of ${mark.copyOf}; run the command again that makes it, without --prepare`
    : `${name} was moved to ${mark.to}; use that. To use this one again, run: entrepot adopt`;
}

/**
 * The id of what is copied.
 * @param name of it
 * @param target what stands in the target in the place of an id
 * @throws EntrepotError `conflict` when it was moved before, unless only the target does not know that yet
 */
export function ownId(name: string, text: string, target: string | undefined): string {
  const mark = readMark(text);
  if (mark === undefined) return text;
  const other = target === undefined ? undefined : readMark(target);
  if ('movedFrom' in mark && other !== undefined && 'copyOf' in other && other.copyOf === mark.movedFrom)
    return mark.movedFrom;
  throw new EntrepotError('conflict', explainMark(name, mark));
}

/**
 * Whether a target is a copy of the store `id` that is not finished. `false`: nobody has used it yet.
 * @param name of the target
 * @throws EntrepotError `conflict` when it is something else
 */
export function isCopyOf(id: string, name: string, text: string | undefined): boolean {
  if (text === undefined) return false;
  const mark = readMark(text);
  if (mark !== undefined && 'copyOf' in mark && mark.copyOf === id) return true;
  if (mark !== undefined) throw new EntrepotError('conflict', explainMark(name, mark));
  const what =
    text === id
      ? `${name} is in use, or is the source itself; are ENTREPOT_… variables set, which hold for both configurations?`
      : `${name} is in use with another store (${text}).`;
  throw new EntrepotError('conflict', `${what} Expected an empty target, or one with a part of this copy`);
}
