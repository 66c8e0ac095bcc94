/** The gateway: the Worker that the public talks to. */
import { createApp } from './app.ts';
import { createDispatchPorts, createJobPorts, createPorts, createPredictionPorts } from './deps.ts';
import { consumeDeadLetters, consumeDispatches } from './jobs/dispatch-queue.ts';
import { Job } from './jobs/job.ts';
import { PredictionResource } from './predictions/prediction-object.ts';

export { PredictionIndexObject } from './predictions/prediction-index-object.ts';
export { StatsObject } from './metrics/stats-object.ts';

export { RateLimitObject } from './limits/rate-limit-object.ts';
export { TenantObject } from './tenants/tenant-object.ts';

/** The bound class: one object for each RestorationKey. */
export class JobObject extends Job {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env, createJobPorts(env));
  }
}

/** The bound class: one object for each prediction of a tenant. */
export class PredictionObject extends PredictionResource {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env, createPredictionPorts(env));
  }
}

/** Bindings do not change within an isolate, so the app is built once, with the first request. */
let app: ReturnType<typeof createApp> | undefined;

export default {
  fetch(request, env, ctx) {
    app ??= createApp(createPorts(env));
    return app.fetch(request, env, ctx);
  },

  queue(batch, env) {
    const consume = batch.queue.endsWith('-dead-letters') ? consumeDeadLetters : consumeDispatches;
    return consume(batch, createDispatchPorts(env));
  },
} satisfies ExportedHandler<Env>;
