/** The edge runner: restores small pictures in WebAssembly. The gateway calls it by RPC; it has no public surface. */
import { toWireError, type WireError } from '@deblur/shared/protocol/errors.ts';
import type {
  EdgeEncodeReply,
  EdgeReply,
  EdgeRestoreReply,
  EdgeRestoreRequest,
  EdgeRunnerApi,
} from '@deblur/shared/protocol/runner-api.ts';
import { WorkerEntrypoint } from 'cloudflare:workers';
import { EdgeIsolate } from './isolate.ts';

/** One for each isolate: it outlives requests. */
const isolate = new EdgeIsolate();

export class EdgeRunner extends WorkerEntrypoint<Env> implements EdgeRunnerApi {
  restore(request: EdgeRestoreRequest): Promise<EdgeRestoreReply> {
    return reply(() => isolate.restore(this.env.ASSETS, request));
  }

  encode(request: Parameters<EdgeRunnerApi['encode']>[0]): Promise<EdgeEncodeReply> {
    return reply(async () => ({ result: await isolate.encode(request) }));
  }

  async health(): ReturnType<EdgeRunnerApi['health']> {
    try {
      await isolate.ready(this.env.ASSETS);
      return { status: 'READY' };
    } catch (error) {
      return { status: 'SETUP_FAILED', detail: wireError(error).detail };
    }
  }
}

async function reply<Value extends object>(work: () => Promise<Value>): Promise<EdgeReply<Value>> {
  try {
    return { ok: true, ...(await work()) };
  } catch (error) {
    return { ok: false, error: wireError(error) };
  }
}

/** What is not ours is told to the operator's log only; so are the causes behind what the caller is told. */
function wireError(error: unknown): WireError {
  const wire = toWireError(error);
  const cause = error instanceof Error ? error.cause : undefined;
  if (wire.code === 'internal') console.error('edge-runner', error);
  else if (cause !== undefined) console.warn(`edge-runner ${wire.code}: ${wire.detail}`, cause);
  return wire;
}

export default {
  fetch: () => new Response('Not found', { status: 404 }),
} satisfies ExportedHandler<Env>;
