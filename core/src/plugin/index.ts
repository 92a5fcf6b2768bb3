export * from './blob-store.js';
export * from './alias.js';
export * from './classes.js';
export * from './cleanup.js';
export * from './protocol.js';
export * from './resource.js';
export * from './roots.js';
