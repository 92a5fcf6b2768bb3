import { withScratch } from '@entrepot/fixtures/scratch';
import { provideTool } from '@entrepot/fixtures/tools';
import { keepRecording, recordChartMuseum } from './scenarios/helm-differential.mjs';

// Writes fixtures/chartmuseum.json anew. It is run by hand, after a change of scenarios/helm-script.mjs or helm-requests.mjs.
const program = await provideTool('chartmuseum');
if (program === undefined) {
  process.exitCode = 1;
} else {
  await withScratch('recording', async (folder) => keepRecording(await recordChartMuseum(program, folder)));
}
