import type { Handler } from 'hono';
import type { z } from 'zod';
import type { AppEnv } from '../context.ts';
import type { Ports } from '../ports.ts';
import type { healthSchema } from '../api-schemas.ts';

/** `GET /healthz`: 200 once both placements serve; until then 503 with the state of each. */
export function getHealth({ restorers }: Ports): Handler<AppEnv> {
  return async (c) => {
    const [edge, runner] = await Promise.all([restorers.edge.health(), restorers.runner.health()]);
    const ready = edge.ready && runner.ready;
    const body: z.infer<typeof healthSchema> = {
      status: ready ? 'ok' : 'unavailable',
      parts: { edge: edge.status, runner: runner.status },
    };
    return c.json(body, ready ? 200 : 503);
  };
}
