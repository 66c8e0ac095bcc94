/** A thread for the tests of rpc.ts and worker-thread.ts. */
import { parentPort } from 'node:worker_threads';
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { serveRpc } from '../../../gpu-runner/threads/rpc.ts';

export type EchoRequest = 'prepare' | 'die' | 'refuse' | 'break' | 'wait' | 'work' | Uint8Array;

serveRpc<EchoRequest, unknown>(parentPort!, async (request, signal) => {
  if (request === 'die') process.exit(3);
  if (request === 'refuse') throw new DeblurError('image_animated', 'Two pictures.');
  if (request === 'break') throw new Error('/secret/path is broken');
  if (request === 'wait') {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    signal.throwIfAborted();
  }
  if (request === 'work') await new Promise((resolve) => setTimeout(resolve, 300));
  if (request instanceof Uint8Array) return { value: request, transfer: [request.buffer as ArrayBuffer] };
  return { value: request };
});
