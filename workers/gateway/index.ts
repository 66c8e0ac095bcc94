/** The gateway: the Worker that the public talks to. */
import { createApp } from './app.ts';
import { createJobPorts, createPorts, createReferencePorts } from './deps.ts';
import { RestorationJob } from './jobs/job-object.ts';
import { RestorationReferences } from './references/reference-object.ts';

export { StatsObject } from './stats/stats-object.ts';

/** The bound class: one object for each RestorationKey. */
export class JobObject extends RestorationJob {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env, createJobPorts(env));
  }
}

/** The bound class: one object for each RestorationKey. */
export class ReferenceObject extends RestorationReferences {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env, createReferencePorts(env));
  }
}

/** Bindings do not change within an isolate, so the app is built once, with the first request. */
let app: ReturnType<typeof createApp> | undefined;

export default {
  fetch(request, env, ctx) {
    app ??= createApp(createPorts(env));
    return app.fetch(request, env, ctx);
  },
} satisfies ExportedHandler<Env>;
