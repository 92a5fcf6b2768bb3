import type { ReadingContext } from '@entrepot/core';
import type { Generations } from './generations.js';
import { generations } from './resources.js';

/** Has the mirrors asked for a root. @throws EntrepotError as they answer, where nothing was ever published */
export async function renew(name: string, context: ReadingContext): Promise<Generations> {
  const ask = async (): Promise<Generations> => (await context.renew<Generations>(generations(name, 'now'))).document;
  const renewed = await ask();
  // A request that was answered without asking anybody may just have been on its way.
  return renewed.status.triedAt < context.now ? await ask() : renewed;
}
