const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** `text` for HTML, within elements and quoted attributes. */
export function escapeHtml(text: string): string {
  return /[&<>"']/.test(text) ? text.replace(/[&<>"']/g, (sign) => ENTITIES[sign] as string) : text;
}

const STYLE =
  ':root{color-scheme:light dark}' +
  'body{margin:0 auto;max-width:60rem;padding:1rem 1.25rem;font:16px/1.5 system-ui,sans-serif}' +
  'h1{font-size:1.4rem;overflow-wrap:anywhere}' +
  'table{border-collapse:collapse;width:100%}' +
  'th,td{text-align:left;vertical-align:top;padding:.2rem .75rem .2rem 0;border-top:1px solid #8884;overflow-wrap:anywhere}' +
  'pre{overflow-x:auto;padding:.6rem .8rem;border:1px solid #8884;border-radius:.4rem}';

/** The beginning of a page for people that is read on any screen, up to its first heading, `title`; `HTML_END` ends it. */
export function htmlStart(title: string): string {
  const shown = escapeHtml(title);
  return (
    '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">' +
    '<meta name="viewport" content="width=device-width, initial-scale=1">' +
    `<title>${shown}</title><style>${STYLE}</style></head>\n<body>\n<h1>${shown}</h1>\n`
  );
}

/** The end of a page that `htmlStart` began. */
export const HTML_END = '</body>\n</html>\n';
