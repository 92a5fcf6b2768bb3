import { answerTasks, tableProgram } from '@entrepot/core/formats';
import { readPageRows } from './page-rows.js';

answerTasks(tableProgram(readPageRows));
