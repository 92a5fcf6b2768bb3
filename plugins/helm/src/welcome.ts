/** The page at the root of a hosted repository. */
export function welcomePage(baseUrl: string): string {
  const url = baseUrl.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Helm charts</title></head>
<body>
<h1>Helm charts</h1>
<p>This is a repository of Helm charts.</p>
<pre>helm repo add charts ${url}
helm search repo charts
curl --data-binary @chart-1.0.0.tgz ${url}/api/charts</pre>
</body>
</html>
`;
}
