import { answerTasks } from '@entrepot/core/formats';
import { hashZip } from './dirhash.js';

answerTasks(hashZip);
