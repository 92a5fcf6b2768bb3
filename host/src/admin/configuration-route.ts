import type Router from '@koa/router';
import type { Middleware } from 'koa';
import type { LoadedConfig } from '../config/load.js';
import { shownConfiguration } from '../config/shown-configuration.js';

/** Adds GET, which shows the configuration in force without its secrets. */
export function configurationRoute(router: Router, { config, sources }: LoadedConfig, guard: Middleware): void {
  router.get('/-/api/v1/configuration', guard, (ctx) => {
    ctx.body = { sources, configuration: shownConfiguration(config) };
  });
}
