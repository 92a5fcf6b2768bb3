import { answerTasks } from '@entrepot/core/formats';
import { metadataOf } from './wheel-metadata.js';

answerTasks(metadataOf);
