import { answerTasks } from '@entrepot/core/formats';
import { runTask } from './sqlite-task.js';

answerTasks(runTask);
