import type { Resource } from '@entrepot/core';

/** A form of a page of the Simple API. `text` has the bytes of `html` and the older media type. */
export type PageForm = 'json' | 'html' | 'text';

/** The media types of the forms (PEP 691). `latest` is answered with the type of the version that it is. */
export const PAGE_TYPES: Readonly<Record<PageForm, string>> = {
  json: 'application/vnd.pypi.simple.v1+json',
  html: 'application/vnd.pypi.simple.v1+html',
  text: 'text/html; charset=utf-8',
};

/** The `Accept` header for upstreams: JSON says most. */
export const PAGE_ACCEPT =
  'application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01';

const FORMS: ReadonlyMap<string, PageForm> = new Map([
  ['application/vnd.pypi.simple.v1+json', 'json'],
  ['application/vnd.pypi.simple.latest+json', 'json'],
  ['application/vnd.pypi.simple.v1+html', 'html'],
  ['application/vnd.pypi.simple.latest+html', 'html'],
  ['text/html', 'text'],
]);

/** Longer headers are not looked at. */
const LONGEST = 4096;

/** Chooses the form that an `Accept` header prefers. HTML for clients that name none of them: they know nothing newer. */
export function chooseForm(accept: string | undefined): PageForm {
  let chosen: PageForm = 'text';
  let best = 0;
  if (accept === undefined || accept.length > LONGEST) return chosen;
  for (const part of accept.split(',')) {
    const [type = '', ...parameters] = part.split(';');
    const form = FORMS.get(type.trim().toLowerCase());
    const weight = parameters.find((parameter) => /^\s*q\s*=/i.test(parameter)) ?? 'q=1';
    const quality = Number.parseFloat(weight.slice(weight.indexOf('=') + 1));
    if (form !== undefined && quality > best) [chosen, best] = [form, quality];
  }
  return chosen;
}

/** Reads the form of a page from its variant. */
export function formOf({ variant = 'text' }: Pick<Resource, 'variant'>): PageForm {
  return variant as PageForm;
}
