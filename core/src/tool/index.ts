export { Batches, type BatchOptions } from './batches.js';
export { findTool, stampOf, type FoundTool } from './find-tool.js';
export { mergeFindings } from './merge-findings.js';
export { runTool, ToolFailure, type ToolOutput, type ToolRun } from './run-tool.js';
export {
  componentReference,
  distributionOf,
  softwareList,
  subjectUrl,
  type ComponentProperty,
  type Distribution,
  type SoftwareListOptions,
} from './software-list.js';
export { NETWORK_VARIABLES, pick, withToolPlace, type PlaceRun, type ToolPlace } from './tool-place.js';
export { TOOL_LIMITS } from './tool-limits.js';
export {
  createToolScanner,
  LARGEST_OUTPUT,
  toolJson,
  type ImageJudgement,
  type ScannerTool,
  type ToolContext,
  type ToolDatabase,
  type ToolScannerOptions,
} from './tool-scanner.js';
