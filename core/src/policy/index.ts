export { BUILT_IN_RULES, checkPolicy, type PolicyProblem } from './check-policy.js';
export { createPolicy } from './create-policy.js';
export * from './document.js';
export * from './exception.js';
export { compilePackages, parsePackagePattern } from './patterns.js';
export * from './policy.js';
export { PRESETS, resolvePolicy } from './presets.js';
export { compareVersions, isSameVersion, versionIdentity } from './version-order.js';
