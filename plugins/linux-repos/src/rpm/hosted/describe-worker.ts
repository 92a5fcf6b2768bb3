import { answerTasks } from '@entrepot/core/formats';
import { describing } from './describe.js';

answerTasks(describing());
