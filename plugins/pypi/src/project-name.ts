/** A name as PEP 508 spells it; 214 characters are more than the public index has ever had. */
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,212}[A-Za-z0-9])?$/;

/** Whether `text` can be the name of a project, normalised or not. */
export function isProjectName(text: string): boolean {
  return NAME.test(text);
}

/** The one spelling under which a project is kept (PEP 503, "Normalized Names"). */
export function normalise(name: string): string {
  return name.replace(/[-_.]+/g, '-').toLowerCase();
}
