/** One step of a glob: the characters that it takes, one of them or any number. */
export interface GlobStep {
  readonly repeats: boolean;
  takes(character: string): boolean;
}

/** The step of one character that stands for itself. */
export function literalStep(character: string): GlobStep {
  return { repeats: false, takes: (other) => other === character };
}

/** A step of any number of characters but those in `without`. */
export function anyStep(without = ''): GlobStep {
  return { repeats: true, takes: (character) => !without.includes(character) };
}

/** The steps of a glob in which `*` stands for any characters, and nothing else has a meaning. */
export function starGlob(pattern: string): GlobStep[] {
  return Array.from(pattern, (character) => (character === '*' ? anyStep() : literalStep(character)));
}

/**
 * Whether all of `text` is what `steps` say. All ways through the glob are taken at once, so the work is the length of the
 * one times that of the other: a regular expression takes seconds for `*-*-*-*` and a long name.
 */
export function matchesGlob(steps: readonly GlobStep[], text: string): boolean {
  let open: number[] = [];
  enter(steps, 0, open);
  for (const character of text) {
    const next: number[] = [];
    for (const at of open) {
      const step = steps[at];
      if (step?.takes(character) === true) enter(steps, step.repeats ? at : at + 1, next);
    }
    if (next.length === 0) return false;
    open = next;
  }
  return open.at(-1) === steps.length;
}

/** Opens the step at `at`, and those behind it that may take nothing before them. `open` grows upwards. */
function enter(steps: readonly GlobStep[], at: number, open: number[]): void {
  if (at <= (open.at(-1) ?? -1)) return;
  open.push(at);
  for (let index = at; steps[index]?.repeats === true; index += 1) open.push(index + 1);
}
