import { Hono } from 'hono';
import type { RunnerService } from '../predictions/runner-service.ts';

/** Cog's: always 200, the status is in the body, so that a probe tells a runner that starts from one that is not there. */
export function cogHealth(runner: RunnerService): Hono {
  return new Hono().get('/', (c) => c.json(runner.health()));
}

/** The Open Inference Protocol's, for who only looks at the status: is it to be restarted, is it to be sent work. */
export function probes(runner: RunnerService): Hono {
  return new Hono()
    .get('/live', (c) => {
      const live = runner.health().status !== 'DEFUNCT';
      return c.json({ live }, live ? 200 : 503);
    })
    .get('/ready', (c) => {
      // A busy one stays: its predictions are asked for and cancelled there, and it says 409 to others itself.
      const ready = runner.refusal === undefined && ['READY', 'BUSY'].includes(runner.health().status);
      return c.json({ ready }, ready ? 200 : 503);
    });
}
