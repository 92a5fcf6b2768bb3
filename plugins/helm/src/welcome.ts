import { escapeHtml, HTML_END, htmlStart } from '@entrepot/core';

/** Writes the start page of a hosted repository. */
export function welcomePage(name: string, baseUrl: string): string {
  const url = escapeHtml(baseUrl);
  return `${htmlStart(`${name}: Helm charts`)}<p>This is a repository of Helm charts.</p>
<pre>helm repo add ${escapeHtml(name)} ${url}
helm search repo ${escapeHtml(name)}
curl --data-binary @chart-1.0.0.tgz ${url}/api/charts</pre>
${HTML_END}`;
}
