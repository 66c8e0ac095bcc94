/** A process for the tests of process-pool.ts. */
import { Socket } from 'node:net';
import { MessageSocket } from '../../../gpu-runner/threads/message-socket.ts';
import { CALLS_FD } from '../../../gpu-runner/threads/process-pool.ts';
import { serveRpc } from '../../../gpu-runner/threads/rpc.ts';

export type EchoCall = 'pid' | 'environment' | 'block' | 'die' | { readonly echo: unknown };

const socket = new Socket({ fd: CALLS_FD, readable: true, writable: true });
socket.on('close', () => process.kill(process.pid, 'SIGKILL'));
serveRpc<EchoCall, unknown>(new MessageSocket(socket), async (request) => {
  if (request === 'pid') return { value: process.pid };
  if (request === 'environment') return { value: Object.keys(process.env) };
  if (request === 'die') process.exit(3);
  // As native code does: no message, signal or timer of this process gets through.
  if (request === 'block') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  return { value: typeof request === 'object' ? request.echo : undefined };
});
