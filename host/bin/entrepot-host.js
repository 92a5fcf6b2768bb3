#!/usr/bin/env node
// In the repository, because npm leaves out a program that is not there when it links a workspace, and `dist` is built later.
import '../dist/cli/main.js';
