import { withoutTrailingSlashes, type Clock, type Logger } from '@entrepot/core';
import { DEFAULT_TRANSPORT, type TracingConfig } from '../../config/schema.js';
import { openTransport } from '../upstream/open-transport.js';
import { OtlpExporter } from './otlp-exporter.js';
import { Tracing } from './tracing.js';

/** Opens what the configuration means. Loaded only where it names an endpoint. */
export function openTracing(
  endpoint: string,
  { headers, sample, serviceName, passToUpstreams }: TracingConfig,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Tracing {
  const url = new URL(endpoint);
  url.pathname = `${withoutTrailingSlashes(url.pathname)}/v1/traces`;
  const transport = openTransport(DEFAULT_TRANSPORT);
  const exporter = new OtlpExporter({ url, headers, serviceName, transport, logger });
  return new Tracing({ sample, passToUpstreams, exporter, clock });
}
