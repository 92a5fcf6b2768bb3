#!/usr/bin/env node
// The program of the host by itself, which loads what its configuration names.
import { runProgram } from './program.js';

await runProgram();
