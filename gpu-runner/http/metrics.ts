import { Hono } from 'hono';
import type { Runner } from '../predictions/runner.ts';

export function metricsRoutes(runner: Runner): Hono {
  return new Hono().get('/', async (c) =>
    c.body(await runner.scrape(), 200, { 'Content-Type': runner.metrics.contentType }),
  );
}
