#!/usr/bin/env node
import { runProgram } from '@entrepot/host/cli';
import { DISTRIBUTION } from '../dist/index.js';

await runProgram(DISTRIBUTION);
