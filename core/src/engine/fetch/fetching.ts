import type { Entry } from '../../api/entry-index.js';
import { AddressedFlight } from './addressed-flight.js';
import { contentDigest, ContentFlights } from './content-flights.js';
import { ContentNames } from './content-names.js';
import { Descriptions } from './descriptions.js';
import { FetchPolicy } from './fetch-policy.js';
import { FetchTurns } from './fetch-turns.js';
import { Flights, membersOf, type FlightView } from './flights.js';
import { KeptFacts } from './kept-facts.js';
import { ResourceReader } from './resource-reader.js';
import { fetchSet } from './set-fetch.js';
import type { FlightContext, SharedFlight, Stored } from './shared-flight.js';
import { startFetch, type FetchContext } from './stored-fetch.js';
import { WholeFlight } from './whole-flight.js';

/** The parts of a repository that fetch, put together. */
export class Fetching {
  readonly flights: Flights;
  readonly turns: FetchTurns;
  readonly reader: ResourceReader;
  readonly descriptions: Descriptions;
  readonly names: ContentNames;
  readonly policy: FetchPolicy;
  readonly keptFacts: KeptFacts;
  readonly #context: FetchContext;
  readonly #coming = new ContentFlights();

  constructor(context: FlightContext) {
    this.flights = new Flights({
      shared: (resource, kept) => this.#shared(resource, kept),
      unshared: (resource) => startFetch(this.#context, { resource, keep: 'nothing' }),
    });
    this.turns = new FetchTurns(context.definition.limits, this.flights);
    this.reader = new ResourceReader(context, this.flights);
    this.descriptions = new Descriptions(context, this.reader);
    this.names = new ContentNames(context, this.descriptions);
    this.policy = new FetchPolicy(context, this.descriptions, this.names);
    this.keptFacts = new KeptFacts(context, this.flights, this.descriptions);
    const { reader, descriptions, policy } = this;
    this.#context = { ...context, reader, descriptions, policy };
  }

  /** Forgets what upstreams said and no entry is for. */
  forgetAll(): void {
    this.descriptions.forgetAll();
    this.names.forgetAll();
  }

  #shared(resource: Stored, kept: Entry | undefined): FlightView {
    if (!resource.produced && (membersOf(resource).length === 1 || kept !== undefined)) {
      const flight = this.#addressed(resource, kept) ?? startFetch(this.#context, { resource, kept, keep: 'entry' });
      return () => flight;
    }
    const whole = new WholeFlight((signal) => fetchSet(this.#context, resource, kept, signal));
    return (key) => whole.for(key);
  }

  /** The flight for bytes that another name may have brought. */
  #addressed(resource: Stored, kept: Entry | undefined): SharedFlight | undefined {
    const digest = contentDigest(resource);
    if (resource.kind !== 'artifact' || digest === undefined || kept !== undefined) return undefined;
    return new AddressedFlight(this.#context, { resource, digest, coming: this.#coming });
  }
}
