import apk from './apk/index.js';
import deb from './deb/index.js';
import pacman from './pacman/index.js';
import rpm from './rpm/index.js';

export type { RepositoryOptions } from './shared/options.js';
export { apk, deb, pacman, rpm };

/** Repositories of Linux packages. */
export default [apk, deb, pacman, rpm];
