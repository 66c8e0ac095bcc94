import { Hono } from 'hono';
import type { RunnerService } from '../predictions/runner-service.ts';

export function metricsRoutes(runner: RunnerService): Hono {
  return new Hono().get('/', async (c) =>
    c.body(await runner.scrape(), 200, { 'Content-Type': runner.metrics.contentType }),
  );
}
