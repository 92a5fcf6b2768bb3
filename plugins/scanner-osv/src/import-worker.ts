import { answerTasks } from '@entrepot/core/formats';
import { runImport } from './run-import.js';

answerTasks(runImport);
