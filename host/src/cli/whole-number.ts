/**
 * Reads a number from the command line. `undefined`: it was not given.
 * @throws Error for anything but a whole number above 0
 */
export function wholeNumber(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new Error(`${option}: expected a whole number above 0, found ${JSON.stringify(text)}`);
}
