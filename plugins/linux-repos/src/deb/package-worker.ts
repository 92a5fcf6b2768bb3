import { answerTasks, tableProgram } from '@entrepot/core/formats';
import { readPackageRows } from './package-rows.js';

answerTasks(tableProgram(readPackageRows));
