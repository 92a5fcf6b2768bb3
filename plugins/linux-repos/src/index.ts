export { default, type DebOptions } from './deb/index.js';
