import { rates } from './rates.mjs';
import { resolves } from './resolves.mjs';

export const scenarios = [...rates, ...resolves];
