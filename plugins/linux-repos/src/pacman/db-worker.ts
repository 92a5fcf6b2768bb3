import { answerTasks, tableProgram } from '@entrepot/core/formats';
import { readDatabaseRows } from './db-rows.js';

answerTasks(tableProgram(readDatabaseRows));
