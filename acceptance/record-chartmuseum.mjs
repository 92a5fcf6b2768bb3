import { provideTool } from './container-tools.mjs';
import { keepRecording, recordChartMuseum } from './helm-differential.mjs';
import { withScratch } from './scratch.mjs';

// Writes fixtures/chartmuseum.json anew. It is run by hand, after a change of helm-script.mjs.
const program = await provideTool('chartmuseum');
if (program === undefined) {
  process.exitCode = 1;
} else {
  await withScratch('recording', async (folder) => keepRecording(await recordChartMuseum(program, folder)));
}
