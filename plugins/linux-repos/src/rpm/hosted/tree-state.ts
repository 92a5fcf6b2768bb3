import type { Entry } from '@entrepot/core';
import type { AdditionName } from './additions.js';
import type { ListName } from './keys.js';

/** A list of packages, or other metadata, as clients read it. */
export interface ListDocument {
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  /** Of the list unpacked. */
  readonly openSha256: string;
  readonly openSize: number;
}

/** A tree as it was published last: the attributes of its state. */
export interface TreeState {
  /** Milliseconds since the epoch. */
  readonly date: number;
  /** Number of its packages. */
  readonly packages: number;
  readonly documents: Readonly<Record<ListName, ListDocument>>;
  /** Metadata besides. Absent: there is none. */
  readonly additions?: Readonly<Partial<Record<AdditionName, ListDocument>>> | undefined;
}

/** Reads the state that the entry of a tree has. */
export function stateOf({ attributes }: Entry): TreeState {
  return attributes as unknown as TreeState;
}
