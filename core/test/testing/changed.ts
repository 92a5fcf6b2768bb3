import type { RequestHead } from '@entrepot/core';

/** The members of a right object that differ in a wrong one, at any depth. */
export type Changes<T> = T extends (...given: never[]) => unknown
  ? T
  : T extends object
    ? { readonly [Name in keyof T]?: Changes<T[Name]> | undefined }
    : T;

/** `right` with the members of `changes` in their places. Members that are no plain objects are replaced. */
export function changed<T extends object>(right: T, changes?: Changes<NoInfer<T>>): T {
  const made = { ...right } as Record<string, unknown>;
  for (const [name, value] of Object.entries(changes ?? {}))
    made[name] = isPlain(value) && isPlain(made[name]) ? changed(made[name], value) : value;
  return made as T;
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** `head` with `changes`. Some members of a head are getters of its class, which a spread would lose. */
export function changedHead(head: RequestHead, changes: Partial<RequestHead>): RequestHead {
  const { method, mount, segments, trailingSlash, query, rawQuery, header } = head;
  return { method, mount, segments, trailingSlash, query, rawQuery, header, ...changes };
}
