import type { Handler } from 'hono';
import { deblur } from '../predict/deblur.ts';
import { addToLog, type AppEnv, type Ports } from './context.ts';
import { waitPreference } from './prefer.ts';
import { deblurHeaders, serverTiming } from './present.ts';
import { readUpload } from './upload.ts';

/** `POST /v1/deblur`: a picture in, the restored one out. */
export function postDeblur(ports: Ports): Handler<AppEnv> {
  return async (c) => {
    const started = Date.now();
    const wait = waitPreference(c.req.header('prefer'));
    const { source, options } = await readUpload(c.req.raw, ports.sources);
    const receiveMs = Date.now() - started;
    const { width, height, format } = source.header;
    addToLog(c, { bytes: source.bytes, width, height, source_format: format });

    const accept = c.req.header('accept') ?? null;
    const deblurred = await deblur(ports, {
      tenant: c.get('tenant'),
      source,
      options,
      accept,
      waitSeconds: wait.seconds,
    });
    const { result, cache } = deblurred;
    addToLog(c, { cache, placement: result.placement, model: result.model, result_key: result.key });
    if (wait.applied !== null) c.header('Preference-Applied', wait.applied);
    ports.stats.count('deblur_results_total', { cache: deblurred.cost });
    const totalMs = Date.now() - started;
    const timing = serverTiming(deblurred, { receiveMs, totalMs, detailed: ports.sharedCache });
    return c.body(result.body, 200, deblurHeaders(deblurred, timing));
  };
}
