import { answerTasks } from '@entrepot/core/formats';
import { answerHash } from './dirhash.js';

answerTasks(answerHash);
