export { untilAborted } from '../../formats/until-aborted.js';
