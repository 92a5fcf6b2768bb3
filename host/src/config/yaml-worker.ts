import { answerTasks } from '@entrepot/core/formats';
import { parseYamlValue } from './read-yaml.js';

answerTasks(parseYamlValue);
