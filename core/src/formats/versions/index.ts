export * from './apk.js';
export * from './deb.js';
export * from './maven.js';
export * from './python-version.js';
export * from './rpm.js';
export * from './segments.js';
export * from './semantic-version.js';
export * from './version-order.js';
