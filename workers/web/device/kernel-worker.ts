/** One of the workers that restore tiles beside each other: DHNet's kernels with a memory of their own. */
import { KernelSession } from '@deblur/shared/kernels/session.ts';
import type { KernelReply, KernelRequest } from './kernel-pool.ts';

/** Weights of 7 MiB, and 10 MiB for a tile of 256×256: room for a tile of 1024×1024. */
const MEMORY_MAX_BYTES = 256 * 1024 * 1024;

let session: Promise<KernelSession> | undefined;

async function answer(request: KernelRequest): Promise<void> {
  if (request.kind === 'start') {
    session = KernelSession.create(request.module, request.weights, MEMORY_MAX_BYTES);
    await session;
    reply({ id: request.id, tile: null });
    return;
  }
  if (session === undefined) throw new Error('A tile came before the weights.');
  const tile = await session.then((ready) => ready.run(request.tile));
  reply({ id: request.id, tile }, [tile.data.buffer]);
}

function reply(message: KernelReply, transfer: Transferable[] = []): void {
  postMessage(message, { transfer });
}

addEventListener('message', ({ data }: MessageEvent<KernelRequest>) => {
  answer(data).catch((error: unknown) => reply({ id: data.id, failure: String(error) }));
});
