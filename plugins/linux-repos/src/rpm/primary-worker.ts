import { answerTasks, tableProgram } from '@entrepot/core/formats';
import { readPrimaryRows } from './primary-rows.js';

answerTasks(tableProgram(readPrimaryRows));
