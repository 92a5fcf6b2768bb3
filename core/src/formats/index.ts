export * from './bounded-json.js';
export * from './byte-writer.js';
export * from './json-scanner.js';
export * from './json-stream.js';
export * from './json-writer.js';
export * from './limiter.js';
export * from './lru.js';
export * from './work-turns.js';
