// It imports nothing: main.ts needs it before anything else.

let isComing = false;
let listener: (() => void) | undefined;

/** Keeps SIGHUP from ending the process. One that comes before there is a listener is kept for it. */
export function catchHangups(): void {
  process.on('SIGHUP', () => {
    if (listener === undefined) isComing = true;
    else listener();
  });
}

/**
 * Calls `next` for every SIGHUP, and at once for those that came before.
 * @returns a function that ends this; what comes then is kept again
 */
export function onHangup(next: () => void): () => void {
  listener = next;
  if (isComing) next();
  isComing = false;
  return () => {
    listener = undefined;
  };
}
