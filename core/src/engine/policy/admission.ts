import { packageUrl, type PackageCoordinates } from '../../api/coordinates.js';
import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import { asEntrepotError, EntrepotError } from '../../api/errors.js';
import type { ArtifactFacts } from '../../api/facts.js';
import type { Integrity } from '../../api/integrity.js';
import type { FirstFetch, FiredRule, PolicyDecision } from '../../api/policy.js';
import type { ArtifactDescription, RewriteContext } from '../../api/protocol.js';
import type { ArtifactResource, DocumentResource, Resource, StoredResource } from '../../api/resource.js';
import type { ContentFinding, ScanAnswer, ScanWish } from '../../api/scan-desk.js';
import type { ScanSubject } from '../../api/scanner.js';
import { ContentFindings, type FindingsByVersion } from './content-findings.js';
import { Denial, denialText } from './denial.js';
import type { Judgement } from './judgement.js';
import { isPinned, nameOf } from '../store/pinned-name.js';
import type { RequestContext } from '../request/request-context.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';
import { untilAborted } from '../request/until-aborted.js';

/** What follows where a policy does not say. */
const SERVED_MEANWHILE: FirstFetch = { action: 'allow', deadline: 0, onTimeout: 'allow' };
/** What bytes are called can change: then another judgement follows within this time; milliseconds. */
const LONGEST_MEMO = 60_000;
const NOT_SCANNED: ScanAnswer = { reports: [], failures: [] };
/** When a client that was sent away for a scan may come back; seconds. */
const RETRY_AFTER = 2;

/** What is judged. */
interface Subject {
  readonly coordinates: PackageCoordinates;
  readonly facts?: ArtifactFacts | undefined;
  readonly integrity?: readonly Integrity[] | undefined;
  /** Where the bytes are here. */
  readonly entry?: Entry | undefined;
  readonly storedAt?: number | undefined;
  /** Facts about cached bytes that are not at hand. */
  readonly content?: Pick<ContentFinding, 'digest' | 'size' | 'storedAt'> | undefined;
  readonly caller?: string | undefined;
  readonly now?: number | undefined;
  /** Coordinates whose first sight counts. Absent: `coordinates`; `unknown`: the digest of the bytes is not known yet. */
  readonly agedAs?: PackageCoordinates | 'unknown' | undefined;
}

/** What of a resource decides how it is judged. */
type Judged = Pick<StoredResource, 'coordinates' | 'refusedOnlyIfMalicious'> &
  Pick<Partial<ArtifactResource>, 'contentAddressed' | 'integrity'> &
  Pick<Partial<DocumentResource>, 'pinned'>;

/** A judgement that holds as long as all of this does. */
interface Memo {
  readonly revision: string;
  /** Of the document that described it; `undefined`: none did. */
  readonly document: Digest | undefined;
  readonly answer: ScanAnswer | undefined;
  readonly caller: string | undefined;
  /** Of what is known against contents. */
  readonly mark: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
  readonly judgement: Judgement;
}

/** Facts about cached bytes that the document in force does not list. */
export interface Unlisted {
  readonly unlisted: Pick<ArtifactFacts, 'upstream'>;
}

/** Statement of the document in force about cached bytes. */
export type DescriptionNow = ArtifactDescription | Unlisted | undefined;

/** The one place where policy is asked (architecture §6.8). */
export class Admission {
  readonly #definition: RepositoryDefinition;
  readonly #services: EngineServices;
  /** The newest judgement of each entry. Entries are replaced, never changed: they leave with what is said of them. */
  readonly #memos = new WeakMap<Entry, Memo>();
  readonly contents: ContentFindings;

  constructor(definition: RepositoryDefinition, services: EngineServices) {
    this.#definition = definition;
    this.#services = services;
    this.contents = new ContentFindings(definition.name, services.scanDesk, services.logger);
  }

  /**
   * Asks policy about something of which no byte is here.
   * @param description what its document says of it
   * @param context of the one request that it is for; absent: it is for several
   * @param digest of what it stands for, where it is a name for bytes
   * @throws Denial for `deny` and `hold`
   */
  require(
    resource: Judged,
    coordinates: PackageCoordinates,
    description?: Partial<ArtifactDescription>,
    context?: RequestContext,
    digest?: Digest,
  ): Judgement {
    const caller = context?.caller.name;
    const agedAs = agedAsOf(resource, coordinates, digest);
    return this.#passed(
      resource,
      this.#judge({ coordinates, facts: description, integrity: description?.integrity, caller, agedAs }),
    );
  }

  /** Notes that `parts` were there when what they are parts of was first seen: an image has one age. */
  noteParts({ coordinates }: Judged, digest: Digest, parts: readonly PackageCoordinates[]): void {
    const { firstSeen } = this.#services;
    const { name } = this.#definition;
    const since = coordinates && firstSeen?.(name, { ...coordinates, version: digest });
    for (const part of parts) firstSeen?.(name, part, since);
  }

  /** Whether policy has nothing against `coordinates`, as far as they alone tell. */
  admits(coordinates: PackageCoordinates): boolean {
    return !isRefused(this.#judge({ coordinates }));
  }

  /** Asks policy about a name as a whole, before anybody is asked for what is under it. */
  requireName({ coordinates }: Judged): void {
    if (coordinates === undefined) return;
    const { ecosystem, name } = coordinates;
    this.#passed({}, this.#judge({ coordinates: { ecosystem, name } }));
  }

  /** Whether policy lets a name be asked for. */
  admitsName({ ecosystem, name }: PackageCoordinates): boolean {
    return !isRefused(this.#judge({ coordinates: { ecosystem, name } }));
  }

  /**
   * What was said of kept bytes, while it holds.
   * @param document that describes them, as memory knows it
   * @throws Denial for `deny` and `hold`
   */
  known(context: RequestContext, resource: Judged, entry: Entry, document: Digest | undefined): Judgement | undefined {
    const memo = this.#memos.get(entry);
    if (memo === undefined) return undefined;
    const { clock, policy, scanDesk } = this.#services;
    const { judgement } = memo;
    const holds =
      memo.revision === policy.revision() &&
      (document === undefined || memo.document === document) &&
      memo.caller === context.caller.name &&
      memo.mark === this.contents.mark(judgement.coordinates) &&
      clock.now() < memo.until &&
      (judgement.stage === 'request' ||
        memo.answer === scanDesk?.peek({ coordinates: judgement.coordinates, digest: entry.digest }));
    return holds ? this.#passed(resource, judgement) : undefined;
  }

  /**
   * Asks policy about kept bytes. Where a rule waits for the reports on them, so does the client, as long as the rule says.
   * @param document that `description` is from
   * @returns `undefined` for what policy has no name for
   * @throws Denial for `deny` and `hold`; EntrepotError `scan-unavailable` when the reports are late
   */
  async admit(
    context: RequestContext,
    resource: Judged,
    entry: Entry,
    description: DescriptionNow,
    document: Digest | undefined,
  ): Promise<Judgement | undefined> {
    const coordinates = describedCoordinates(description) ?? entry.coordinates ?? resource.coordinates;
    if (coordinates === undefined) return undefined;
    const { scanDesk } = this.#services;
    const caller = context.caller.name;
    const answer = scanDesk?.peek({ coordinates, digest: entry.digest });
    const agedAs = agedAsOf(resource, coordinates, nameOf(entry));
    const subject: Subject = { coordinates, entry, caller, facts: factsNow(entry, description), agedAs };
    const judgement = this.#judge(subject, answer);
    if (judgement.decision.pending === true) {
      this.#passed(resource, judgement);
      return await this.#afterScan(context, resource, subject, judgement);
    }
    this.#remember(entry, { document, answer, caller, judgement });
    if (scanDesk !== undefined && answer === undefined) this.#scanLater(subject);
    return this.#passed(resource, judgement);
  }

  /** The same for what nobody scans: it is judged as if its bytes were not here. */
  admitUnscanned(
    context: RequestContext,
    resource: Judged,
    entry: Entry,
    description: DescriptionNow,
    document: Digest | undefined,
  ): Judgement | undefined {
    const coordinates = describedCoordinates(description) ?? entry.coordinates ?? resource.coordinates;
    if (coordinates === undefined) return undefined;
    const caller = context.caller.name;
    const facts = factsNow(entry, description);
    // Kept since then, which graces look at; and nobody will say more of it.
    const agedAs = agedAsOf(resource, coordinates, nameOf(entry));
    const judgement = this.#judge({ coordinates, caller, facts, storedAt: entry.fetchedAt, agedAs }, NOT_SCANNED);
    this.#remember(entry, { document, answer: undefined, caller, judgement });
    return this.#passed(resource, judgement);
  }

  #remember(entry: Entry, memo: Omit<Memo, 'revision' | 'until' | 'mark'>): void {
    const { coordinates, decision, stage } = memo.judgement;
    if (stage === 'content' && isRefused(memo.judgement)) this.contents.refused(entry);
    const mark = this.contents.mark(coordinates);
    const until = Math.min(decision.nextChangeAt ?? Infinity, this.#services.clock.now() + LONGEST_MEMO);
    this.#memos.set(entry, { ...memo, mark, revision: this.#services.policy.revision(), until });
  }

  /**
   * Asks policy about what tells of an artifact without being it, by what scans of that said.
   * @throws Denial for `deny` and `hold`
   */
  async requireContents(
    resource: Judged & Pick<StoredResource, 'sidecarOf'>,
    { coordinates, facts }: Pick<Subject, 'facts'> & { readonly coordinates: PackageCoordinates | undefined },
    context?: RequestContext,
  ): Promise<void> {
    const { sidecarOf } = resource;
    if (coordinates?.version === undefined) return;
    const found = (await this.contents.of(coordinates)).get(packageUrl(coordinates)) ?? [];
    const caller = context?.caller.name;
    for (const content of found) {
      if (sidecarOf !== undefined && sidecarOf !== content.key) continue;
      this.#passed(resource, this.#judge({ coordinates, facts, content, caller }, content.answer));
    }
  }

  /** What policy says of a kept document that names bytes. Nobody waits for its reports. */
  judgeName(entry: Entry): Judgement | undefined {
    const { coordinates, facts, digest } = entry;
    if (coordinates === undefined) return undefined;
    const answer = this.#services.scanDesk?.peek({ coordinates, digest });
    return this.#judge({ coordinates, entry, facts, agedAs: { ...coordinates, version: nameOf(entry) } }, answer);
  }

  /** For bytes that are not kept, and so are scanned by nobody: what the rule says of reports that are late. */
  withoutScan(judgement: Judgement): Judgement {
    if (judgement.decision.pending !== true) return judgement;
    const { onTimeout } = this.#firstFetch();
    if (onTimeout === 'allow') return judgement;
    if (onTimeout === 'deny') throw new Denial({ ...judgement, decision: unscanned(judgement.decision) });
    throw new ScanPending(judgement);
  }

  /** Judges the versions of one document, all at the same instant. `notice` is told when that can change. */
  lister(
    notice: (at: number) => void,
    baseUrl: string,
    found: FindingsByVersion,
  ): Pick<RewriteContext, 'admits' | 'refusal'> {
    const now = this.#services.clock.now();
    const decide = (coordinates: PackageCoordinates, description?: ArtifactDescription): PolicyDecision => {
      const subject = { coordinates, facts: description, integrity: description?.integrity, now };
      const { decision } = this.#judge(subject);
      if (found.size === 0 || !isListed(decision)) return decision;
      const contents = found.get(packageUrl(coordinates)) ?? [];
      for (const content of contents.filter(({ digest }) => mayHave(digest, description))) {
        const { decision: ofContent } = this.#judge({ ...subject, content }, content.answer);
        if (!isListed(ofContent)) return ofContent;
      }
      return decision;
    };
    return {
      admits(coordinates, description) {
        const decision = decide(coordinates, description);
        if (decision.nextChangeAt !== undefined) notice(decision.nextChangeAt);
        return isListed(decision);
      },
      refusal(coordinates, description) {
        const decision = decide(coordinates, description);
        return isListed(decision) ? undefined : denialText(coordinates, decision, baseUrl);
      },
    };
  }

  /** Tells who keeps the log. */
  record(
    context: RequestContext,
    resource: ArtifactResource | DocumentResource,
    judgement: Judgement | undefined,
    refused = false,
  ): void {
    const { observer, policy } = this.#services;
    if (observer?.decided === undefined || judgement === undefined || !isArtifact(resource)) return;
    if (resource.sidecar === true && !refused) return;
    const { name: repository } = this.#definition;
    // Field by field: this is done for every hit, and a spread costs more than the whole rest of it.
    const { coordinates, stage, decision, digest } = judgement;
    const revision = policy.revision();
    observer.decided({ repository, coordinates, stage, decision, refused, revision, digest, context });
  }

  /** The same of a request that failed, if it was policy. */
  recordRefusal(context: RequestContext, resource: Resource | undefined, error: unknown): void {
    if (resource?.kind !== 'artifact' && resource?.kind !== 'document') return;
    if (!(error instanceof EntrepotError) || !('judgement' in error)) return;
    this.record(context, resource, error.judgement as Judgement, true);
  }

  #judge(subject: Subject, answer?: ScanAnswer): Judgement {
    const { coordinates, facts = {}, integrity, entry, content, caller, agedAs = coordinates } = subject;
    const { name, kind } = this.#definition;
    const { policy, clock, firstSeen } = this.#services;
    const stage = entry === undefined && content === undefined ? 'request' : 'content';
    const { now = clock.now(), storedAt = entry?.fetchedAt ?? content?.storedAt } = subject;
    const digest = entry?.digest ?? content?.digest;
    const decision = policy.evaluate({
      stage,
      repository: { name, kind },
      coordinates,
      facts,
      storedAt,
      // Asked only where a rule counts from it: being asked for is what makes a version seen.
      get firstSeenAt() {
        // Lists tell of a name by its own first sight.
        if (agedAs !== coordinates) firstSeen?.(name, coordinates);
        if (agedAs === 'unknown') return storedAt ?? 'unknown';
        const seen = firstSeen?.(name, agedAs);
        return seen === undefined ? storedAt : Math.min(seen, storedAt ?? seen);
      },
      digest,
      size: entry?.size ?? content?.size,
      integrity: digest === undefined ? integrity : sumsOf(digest, entry?.integrity ?? integrity),
      reports: answer?.reports,
      scanFailures: answer?.failures,
      caller,
      now,
    });
    return { coordinates, stage, decision, digest };
  }

  #passed({ refusedOnlyIfMalicious = false }: Judged, judgement: Judgement): Judgement {
    if (!isRefused(judgement)) return judgement;
    if (refusedOnlyIfMalicious && !judgement.decision.rules.some(isForMalice)) return judgement;
    throw new Denial(judgement);
  }

  /** How long a client waits for reports, and what follows then. What does not hold it leads to that at once. */
  #firstFetch(): Pick<FirstFetch, 'deadline' | 'onTimeout'> {
    const rule = this.#services.policy.firstFetch?.(this.#definition.name) ?? SERVED_MEANWHILE;
    return rule.action === 'hold' ? rule : { deadline: 0, onTimeout: rule.action };
  }

  /** The judgement when the reports are here; what the rule says when they are late. */
  async #afterScan(
    { request: { signal } }: RequestContext,
    resource: Judged,
    subject: Subject,
    before: Judgement,
  ): Promise<Judgement> {
    const { deadline, onTimeout } = this.#firstFetch();
    if (deadline <= 0) {
      // Whoever is turned away wants it as much as one who holds the line.
      this.#scanLater(subject, onTimeout === 'allow' ? 'background' : 'waiting');
      return this.withoutScan(before);
    }
    const answer = await this.#waitForScan(signal, subject, deadline);
    const after = answer === undefined ? before : this.#judge(subject, answer);
    if (isRefused(after) && subject.entry !== undefined) this.contents.refused(subject.entry);
    return this.withoutScan(this.#passed(resource, after));
  }

  /** The reports on kept bytes; `undefined` when they are not here in time, or nobody can say. */
  async #waitForScan(signal: AbortSignal, subject: Subject, deadline: number): Promise<ScanAnswer | undefined> {
    const { clock, scanDesk } = this.#services;
    if (scanDesk === undefined) return undefined;
    const tooLate = AbortSignal.timeout(deadline);
    const both = AbortSignal.any([signal, tooLate]);
    const wish = { priority: 'waiting', deadline: clock.now() + deadline, signal: both } as const;
    try {
      return await untilAborted(scanDesk.request(scanned(subject), wish), both);
    } catch (error) {
      signal.throwIfAborted();
      if (tooLate.aborted || asEntrepotError(error, 'plugin', '').kind === 'scan-unavailable') return undefined;
      throw error;
    }
  }

  /** Nobody waits for it; the next one will know. */
  #scanLater(subject: Subject, priority: ScanWish['priority'] = 'background'): void {
    const { scanDesk, logger } = this.#services;
    const wish = { priority, signal: new AbortController().signal };
    scanDesk?.request(scanned(subject), wish).catch((error: unknown) => {
      logger.warn({ error, repository: this.#definition.name, key: subject.entry?.key }, 'a scan failed');
    });
  }
}

/** The bytes are here, and wait for somebody who looks at them. */
export class ScanPending extends EntrepotError {
  readonly judgement: Judgement;

  constructor(judgement: Judgement) {
    super('scan-unavailable', 'Scan pending: retry in a moment', { code: 'SCAN_PENDING', retryAfter: RETRY_AFTER });
    this.judgement = judgement;
  }
}

/** What is judged of a resource before its bytes are here: a document that is rewritten stands for a name, not for one version of it. */
export function isJudgedByName(resource: ArtifactResource | DocumentResource): boolean {
  return resource.kind === 'document' && resource.rewritten === true;
}

/** Whether a request for `resource` is one for an artifact, or for what belongs to one. */
export function isArtifact(resource: ArtifactResource | DocumentResource): boolean {
  return resource.kind === 'artifact' || isPinned(resource);
}

/** Whether a client is turned away. */
export function isRefused({ decision: { action } }: Judgement): boolean {
  return action === 'deny' || action === 'hold';
}

function isListed({ action }: PolicyDecision): boolean {
  return action === 'allow' || action === 'warn';
}

function isForMalice({ action, malicious, findings = [] }: FiredRule): boolean {
  if (action !== 'deny' && action !== 'hold') return false;
  return malicious === true || findings.some((id) => id.startsWith('MAL-'));
}

/** What is known of kept bytes now: what the document in force says goes over what it said when they were fetched. */
export function factsNow({ facts }: Entry, description: DescriptionNow): ArtifactFacts {
  if (description !== undefined && 'unlisted' in description) return { ...facts, ...description.unlisted };
  return description ?? facts ?? {};
}

export function describedCoordinates(description: DescriptionNow): PackageCoordinates | undefined {
  return description === undefined || 'unlisted' in description ? undefined : description.coordinates;
}

/** The facts of a description alone: what is kept with an entry. `undefined` where it says nothing. */
export function factsOf(description: ArtifactDescription | undefined): ArtifactFacts | undefined {
  if (description === undefined) return undefined;
  const { publishedAt, licenses, deprecated, yanked, upstream, installScripts, newInstallScripts } = description;
  const { exoticDependencies, newDependencies, provenance, provenanceDowngraded } = description;
  const { publisherChanged, publisher, before } = description;
  const facts = {
    publishedAt,
    licenses,
    deprecated,
    yanked,
    upstream,
    installScripts,
    newInstallScripts,
    exoticDependencies,
    newDependencies,
    provenance,
    provenanceDowngraded,
    publisherChanged,
    publisher,
    before,
  } satisfies Required<ArtifactFacts>;
  const known = Object.entries(facts).filter(([, value]) => value !== undefined);
  return known.length === 0 ? undefined : (Object.fromEntries(known) as ArtifactFacts);
}

/** What is known of kept bytes: their digest, too, whatever was promised. */
function sumsOf(digest: Digest, integrity: readonly Integrity[] = []): readonly Integrity[] {
  const hex = digest.slice('sha256:'.length);
  return integrity.some((sum) => sum.hex === hex) ? integrity : [...integrity, { algorithm: 'sha256', hex }];
}

/** Whether bytes with this digest may be those that a document promises. */
function mayHave(digest: Digest, description: ArtifactDescription | undefined): boolean {
  const promised = description?.integrity.filter(({ algorithm }) => algorithm === 'sha256') ?? [];
  return promised.length === 0 || promised.some(({ hex }) => digest === `sha256:${hex}`);
}

function scanned({ coordinates, entry }: Subject): ScanSubject {
  return { coordinates, digest: entry?.digest };
}

/**
 * Finds the coordinates that the age of something is counted from. A tag may be moved, so it is as old as the content that
 * it names now. A part without a version of its own is known by its digest.
 */
function agedAsOf(
  { pinned, contentAddressed, integrity = [] }: Judged,
  coordinates: PackageCoordinates,
  digest: Digest | undefined,
): Subject['agedAs'] {
  if (pinned !== undefined) return digest === undefined ? 'unknown' : { ...coordinates, version: digest };
  const [sum] = integrity;
  if (contentAddressed !== true || coordinates.version !== undefined || sum === undefined) return undefined;
  return { ...coordinates, version: `${sum.algorithm}:${sum.hex}` };
}

function unscanned(decision: PolicyDecision): PolicyDecision {
  const rule: FiredRule = { id: 'first-fetch', action: 'deny', reason: 'it was not scanned in time' };
  return { ...decision, action: 'deny', rules: [rule, ...decision.rules] };
}
