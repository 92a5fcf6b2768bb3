export * from './document.js';
export * from './exception.js';
export * from './policy.js';
