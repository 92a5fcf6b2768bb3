/** One step of a glob: the characters that it takes, one of them or any number. */
export interface GlobStep {
  readonly repeats: boolean;
  /** The step takes nothing, and the steps up to so many places behind it may be left out. */
  readonly optional?: number;
  takes(character: string): boolean;
}

/** The step of one character that stands for itself. */
export function literalStep(character: string): GlobStep {
  return { repeats: false, takes: (other) => other === character };
}

/** A step of one character that is none of `without`. */
export function oneStep(without = ''): GlobStep {
  return { repeats: false, takes: (character) => !without.includes(character) };
}

/** A step of any number of characters but those in `without`. */
export function anyStep(without = ''): GlobStep {
  return { repeats: true, takes: (character) => !without.includes(character) };
}

/** `steps` that may be left out together. */
export function optionalSteps(steps: readonly GlobStep[]): GlobStep[] {
  return [{ repeats: false, optional: steps.length + 1, takes: () => false }, ...steps];
}

/**
 * The step of a class: what stands between `[` and `]`, without a sign of negation. `\\` takes the meaning of the sign behind it.
 * @param without is in neither the class nor its opposite
 */
export function classStep(members: string, isNegated: boolean, without = ''): GlobStep {
  const ranges = [...members.matchAll(/\\?([^])(?:-\\?([^]))?/gu)];
  const has = (sign: string): boolean => ranges.some(([, low = '', high = low]) => low <= sign && sign <= high);
  return { repeats: false, takes: (sign) => has(sign) !== isNegated && !without.includes(sign) };
}

/**
 * Whether all of `text` is what `steps` say. All ways through the glob are taken at once, so the work is the length of the
 * one times that of the other: a regular expression takes seconds for `*-*-*-*` and a long name.
 */
export function matchesGlob(steps: readonly GlobStep[], text: string): boolean {
  // For every step the character before which it was opened last.
  const opened = new Int32Array(steps.length + 1);
  let place = 1;
  let open: number[] = [];
  enter(0);
  for (const character of text) {
    const before = open;
    open = [];
    place += 1;
    for (const at of before) {
      const step = steps[at];
      if (step?.takes(character) === true) enter(step.repeats ? at : at + 1);
    }
    if (open.length === 0) return false;
  }
  return opened[steps.length] === place;

  /** Opens a step, and those behind it before which nothing has to come. */
  function enter(at: number): void {
    if (opened[at] === place) return;
    opened[at] = place;
    open.push(at);
    const step = steps[at];
    if (step?.repeats === true || step?.optional !== undefined) enter(at + 1);
    if (step?.optional !== undefined) enter(at + step.optional);
  }
}
