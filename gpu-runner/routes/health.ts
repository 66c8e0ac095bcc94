import { Hono } from 'hono';
import type { Runner } from '../runner.ts';

/** Always 200: the status is in the body, so that a probe tells a runner that starts from one that is not there. */
export function healthRoutes(runner: Runner): Hono {
  return new Hono().get('/', (c) => c.json(runner.health()));
}
