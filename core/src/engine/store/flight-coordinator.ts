import type { Readable } from 'node:stream';
import type { Fence } from '../../api/entry-index.js';
import type { EntrepotError } from '../../api/errors.js';
import type { TransportReply } from '../../api/transport.js';

/** The answer of an upstream, and where it came from. */
export interface RelayedReply extends TransportReply {
  /** The URL that was asked first: the one that validators belong to. Without credentials. */
  readonly url: string;
  /** The URL of the document that named `url`, where one did. */
  readonly namedBy: string | undefined;
  /** The URL that answered, after redirects. May hold a signature: not for logs. */
  readonly finalUrl: URL;
  /** Whether another process has undone a content coding: the validators are not for these bytes. Absent: no. */
  readonly isDecoded?: boolean | undefined;
}

/** A body that this process receives from an upstream, for processes that follow it. */
export interface RelayedBody {
  /** The reply, whose own body is being read already. */
  readonly reply: RelayedReply;
  /** Whether a content coding that the reply names has been undone. */
  readonly isDecoded: boolean;
  /** The bytes from `from` on, as they come. The stream fails when the fetch does; whoever opens it destroys it. */
  open(from: number): Readable;
}

/** The lease of something that this process fetches for the whole cluster. */
export interface FlightLease {
  readonly role: 'leader';
  /** Names the lease in the transaction that publishes what was fetched. */
  readonly fence: Fence;
  /** Whether nobody has had this lease before, as far as is known. */
  readonly isFirst: boolean;
  /** Lets other processes follow a body. */
  offer(body: RelayedBody): void;
  /** Ends it. @param failure the answer of the upstreams, which those who follow take for theirs */
  release(failure?: EntrepotError): void;
}

/** The end of a followed flight. */
export interface FlightEnd {
  /** The answer of the upstreams. Absent: it was published, or its process is gone. */
  readonly failure?: EntrepotError | undefined;
}

/** Something that another process fetches. */
export interface FollowedFlight {
  readonly role: 'follower';
  /** Resolves when the other one has released its lease, or is not heard of any more. Never rejects. */
  readonly ended: Promise<FlightEnd>;
  /**
   * The body from `from` on. Waits until there is one. `undefined`: it cannot be followed; wait for the end.
   * @throws the reason of `signal` when it is aborted
   */
  open(from: number, signal: AbortSignal): Promise<RelayedReply | undefined>;
  /** Waits for it no more. */
  leave(): void;
}

/** Lets one process of a cluster fetch what several of them are asked for. */
export interface FlightCoordinator {
  /**
   * Takes the lease of a fetch, or finds the process that has it.
   * @param name the same one in all processes
   * @throws EntrepotError `storage` when that cannot be told now
   */
  enter(name: string): Promise<FlightLease | FollowedFlight>;
}
