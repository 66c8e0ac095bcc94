import type { Handler } from 'hono';
import type { z } from 'zod';
import type { AppEnv, Ports } from '../context.ts';
import type { healthSchema } from '../api-schemas.ts';

/** `GET /healthz`: 200 once both placements serve; until then 503 with the state of each. */
export function getHealth({ restorers }: Ports): Handler<AppEnv> {
  return async (c) => {
    const [edge, gpu] = await Promise.all([restorers.edge.health(), restorers.gpu.health()]);
    const ready = edge.ready && gpu.ready;
    const body: z.infer<typeof healthSchema> = {
      status: ready ? 'ok' : 'unavailable',
      parts: { edge: edge.status, gpu: gpu.status },
    };
    return c.json(body, ready ? 200 : 503);
  };
}
