import { answerTasks } from '@entrepot/core/formats';
import { answering } from './yaml-task.js';

answerTasks(answering());
