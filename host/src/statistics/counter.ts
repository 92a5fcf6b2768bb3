import type { Outcome } from '@entrepot/core';
import type { StatisticsTable } from '../drivers/sql/schema.js';
import { type CountedRequest, Counts, mayBeNamed, PackageCounts, RepositoryCounts } from './counts.js';

const DAY = 86_400_000;
/** The most days and repositories that numbers are kept of until they are written. */
const MOST_PLACES = 10_000;

/**
 * Counts in memory, for every hit: two names are looked up, and nothing is made for what was counted before. Of packages and principals
 * that are not written yet there are so many at the most; the rest is counted together.
 */
export class Counter {
  readonly #mostNames: number;
  readonly #days = new Map<number, Map<string, RepositoryCounts>>();
  #today: Map<string, RepositoryCounts> = new Map();
  #dayBegins = Infinity;
  #dayEnds = -Infinity;
  #names = 0;
  #places = 0;
  #lost = 0;

  constructor(mostNames: number) {
    this.#mostNames = mostNames;
  }

  /** The number of names that have numbers of their own. */
  get names(): number {
    return this.#names;
  }

  /** The number of requests that were not counted, for want of room. */
  get lost(): number {
    return this.#lost;
  }

  /** Counts a request for a repository that is over. */
  request(request: CountedRequest, outcome: Outcome, now: number): void {
    const place = this.#place(outcome.repository, now);
    if (place === undefined) {
      this.#lost += 1;
      return;
    }
    place.all.add(request, outcome);
    this.#principal(place, outcome.caller).add(request, outcome);
    // Anybody can ask for names that nobody has.
    if (outcome.coordinates !== undefined && outcome.name !== 'failed')
      this.#package(place, outcome.coordinates).add(request, outcome);
  }

  /** Counts an answer of an upstream. @param duration milliseconds until its head */
  upstreamAnswered(repository: string, duration: number, now: number): void {
    const place = this.#place(repository, now);
    if (place === undefined) return;
    place.upstreamRequests += 1;
    place.upstreamTime += duration;
  }

  /** Counts a body of an upstream. @param duration milliseconds from the head to the last byte */
  received(repository: string, bytes: number, duration: number, now: number): void {
    const place = this.#place(repository, now);
    if (place === undefined) return;
    place.receivedBytes += bytes;
    place.receiveTime += duration;
  }

  /** Takes out all that was counted. */
  take(): readonly StatisticsTable[] {
    const rows: StatisticsTable[] = [];
    for (const [day, repositories] of this.#days)
      for (const [repository, counts] of repositories) rows.push(...counts.rows(day, repository));
    this.#days.clear();
    this.#dayEnds = -Infinity;
    this.#names = 0;
    this.#places = 0;
    return rows;
  }

  #place(repository: string, now: number): RepositoryCounts | undefined {
    if (now >= this.#dayEnds || now < this.#dayBegins) this.#turn(now);
    return this.#today.get(repository) ?? this.#newPlace(repository);
  }

  #turn(now: number): void {
    const day = Math.floor(now / DAY);
    this.#dayBegins = day * DAY;
    this.#dayEnds = this.#dayBegins + DAY;
    const known = this.#days.get(day);
    this.#today = known ?? new Map();
    if (known === undefined) this.#days.set(day, this.#today);
  }

  #newPlace(repository: string): RepositoryCounts | undefined {
    if (this.#places >= MOST_PLACES) return undefined;
    this.#places += 1;
    const made = new RepositoryCounts();
    this.#today.set(repository, made);
    return made;
  }

  #principal(place: RepositoryCounts, name: string | undefined): Counts {
    if (name === undefined) return place.anonymous;
    const known = place.principals.get(name);
    if (known !== undefined) return known;
    if (!this.#takesName(name)) return place.otherPrincipals;
    const made = new Counts();
    place.principals.set(name, made);
    return made;
  }

  #package(place: RepositoryCounts, coordinates: NonNullable<Outcome['coordinates']>): Counts {
    const known = place.packages.get(coordinates.name);
    if (known !== undefined) return known;
    if (!this.#takesName(coordinates.name)) return place.otherPackages;
    const made = new PackageCounts(coordinates);
    place.packages.set(coordinates.name, made);
    return made;
  }

  #takesName(name: string): boolean {
    if (this.#names >= this.#mostNames || !mayBeNamed(name)) return false;
    this.#names += 1;
    return true;
  }
}
