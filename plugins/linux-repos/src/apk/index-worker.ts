import { answerTasks, tableProgram } from '@entrepot/core/formats';
import { readIndexRows } from './index-rows.js';

answerTasks(tableProgram(readIndexRows));
