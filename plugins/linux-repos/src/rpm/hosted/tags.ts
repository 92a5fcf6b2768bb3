/** Tags of headers of packages. */
export const TAG = {
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  summary: 1004,
  description: 1005,
  buildTime: 1006,
  buildHost: 1007,
  size: 1009,
  vendor: 1011,
  license: 1014,
  packager: 1015,
  group: 1016,
  url: 1020,
  architecture: 1022,
  oldFileNames: 1027,
  fileModes: 1030,
  fileFlags: 1037,
  sourceRpm: 1044,
  archiveSize: 1046,
  noSource: 1051,
  noPatch: 1052,
  changelogTimes: 1080,
  changelogNames: 1081,
  changelogTexts: 1082,
  isSource: 1106,
  dirIndexes: 1116,
  baseNames: 1117,
  dirNames: 1118,
  longSize: 5009,
  payloadDigests: 5092,
  payloadDigestAlgorithm: 5093,
} as const;

/** Tags of signature headers. */
export const SIGNATURE_TAG = { longArchiveSize: 271, sha256: 273, archiveSize: 1007 } as const;

/** Tags of the names, flags and versions of each kind of relation, in the order of a list of packages. */
export const RELATION_TAGS = {
  provides: [1047, 1112, 1113],
  requires: [1049, 1048, 1050],
  conflicts: [1054, 1053, 1055],
  obsoletes: [1090, 1114, 1115],
  suggests: [5049, 5051, 5050],
  enhances: [5055, 5057, 5056],
  recommends: [5046, 5048, 5047],
  supplements: [5052, 5054, 5053],
} as const;

export type RelationKind = keyof typeof RELATION_TAGS;
