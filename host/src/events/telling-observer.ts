import { packageUrl } from '@entrepot/core';
import type { EngineObserver } from '@entrepot/core/engine';
import type { EventHub } from './event-hub.js';

/** The observer of the engines: tells what is kept, and how upstreams are, and passes everything on. */
export function tellingObserver(hub: EventHub, inner: EngineObserver): EngineObserver {
  return {
    ...inner,
    kept(entry) {
      inner.kept?.(entry);
      const { repository, coordinates, digest, size } = entry;
      const purl = coordinates && packageUrl(coordinates);
      hub.publish('kept', repository, { purl, digest, size });
    },
    upstreamHealth(repository, upstream, isDown) {
      inner.upstreamHealth?.(repository, upstream, isDown);
      // Whose packages a repository has is for operators: its users are not told on the page of the server either.
      hub.publish(isDown ? 'upstream-down' : 'upstream-up', repository, {}, { upstream: new URL(upstream).host });
    },
  };
}
