/**
 * A process that decodes and encodes pictures, one at a time. libvips cannot be interrupted, whatever a file makes it do: a
 * caller that no longer waits for it ends this process (see ProcessPool).
 */
import { Socket } from 'node:net';
import { MessageSocket } from '../threads/message-socket.ts';
import { CALLS_FD } from '../threads/process-pool.ts';
import { serveRpc } from '../threads/rpc.ts';
import type { CodecRequest } from './codec-steps.ts';
import { sharpSteps } from './sharp-codec.ts';

const socket = new Socket({ fd: CALLS_FD, readable: true, writable: true });
// The caller is gone. An orderly exit would wait for the threads of libvips.
socket.on('close', () => process.kill(process.pid, 'SIGKILL'));
socket.on('error', () => undefined);
serveRpc<CodecRequest, unknown>(new MessageSocket(socket), async ({ step, args }) => {
  const run = sharpSteps[step] as (...args: CodecRequest['args']) => Promise<unknown>;
  return { value: await run(...args) };
});
