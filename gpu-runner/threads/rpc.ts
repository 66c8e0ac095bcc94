/**
 * Calls between threads: one request, one reply, over anything that posts messages. Buffers move, they are not copied,
 * when their owner lists them; failures keep their code; an abort travels to the other side, and the call ends when the
 * work there has really stopped.
 */
import type { Transferable } from 'node:worker_threads';
import { DeblurError, hiddenCause, toWireError, type WireError } from '@deblur/shared/protocol/errors.ts';

/** What MessagePort, Worker and parentPort have in common. */
export interface Endpoint {
  postMessage(message: unknown, transfer?: readonly Transferable[]): void;
  on(event: 'message', listener: (message: unknown) => void): unknown;
}

export interface Transferred<T> {
  readonly value: T;
  /** Buffers inside the value that leave this thread. */
  readonly transfer?: readonly Transferable[];
}

type CallMessage<Request> =
  | { readonly kind: 'call'; readonly id: number; readonly request: Request }
  | { readonly kind: 'abort'; readonly id: number };

type ReplyMessage<Reply> =
  /** The first word of the answering side: it has loaded everything that it imports. */
  | { readonly id: 'serving' }
  | { readonly id: number; readonly ok: true; readonly value: Reply }
  | { readonly id: number; readonly ok: false; readonly error: WireError; readonly cause: string | undefined };

/** The calling side. */
export class RpcClient<Request, Reply> {
  readonly #endpoint: Endpoint;
  readonly #pending = new Map<number, PromiseWithResolvers<Reply>>();
  readonly #serving = Promise.withResolvers<undefined>();
  #nextId = 0;
  #failure: Error | undefined;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    // Nobody has to ask.
    this.#serving.promise.catch(() => undefined);
    // Both ends are our own code, so what arrives has the type that was sent.
    endpoint.on('message', (message) => this.#settle(message as ReplyMessage<Reply>));
  }

  /** Resolves when the other side takes calls; rejects when it is gone before. */
  get serving(): Promise<undefined> {
    return this.#serving.promise;
  }

  get pending(): number {
    return this.#pending.size;
  }

  /** Resolves when every call that was made has ended, well or badly. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#pending.values()].map(({ promise }) => promise));
  }

  /**
   * @param transfer buffers inside the request that the other thread gets; they are empty here afterwards
   * @throws {DeblurError} as thrown on the other side; anything else thrown there arrives as `internal`
   * @throws the signal's reason, once the other side has stopped
   */
  async call(request: Request, transfer: readonly Transferable[] = [], signal?: AbortSignal): Promise<Reply> {
    signal?.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
    const id = this.#nextId++;
    const abort = (): void => this.#endpoint.postMessage({ kind: 'abort', id } satisfies CallMessage<Request>);
    const reply = Promise.withResolvers<Reply>();
    this.#pending.set(id, reply);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      this.#endpoint.postMessage({ kind: 'call', id, request } satisfies CallMessage<Request>, transfer);
      return await reply.promise;
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      this.#pending.delete(id);
      signal?.removeEventListener('abort', abort);
    }
  }

  /** The other side is gone: everything that waits for it fails, and so does everything asked later. */
  fail(error: Error): void {
    this.#failure = error;
    this.#serving.reject(error);
    for (const { reject } of this.#pending.values()) reject(error);
  }

  #settle(message: ReplyMessage<Reply>): void {
    if (message.id === 'serving') return this.#serving.resolve(undefined);
    const call = this.#pending.get(message.id);
    if (message.ok) call?.resolve(message.value);
    else call?.reject(fromReply(message));
  }
}

/** The cause, such as a native message, is for the log and not for the caller. */
function fromReply({ error, cause }: { error: WireError; cause: string | undefined }): DeblurError {
  return new DeblurError(error.code, error.detail, { cause });
}

/** The answering side: runs `handle` for every call, several at once if they come so. */
export function serveRpc<Request, Reply>(
  endpoint: Endpoint,
  handle: (request: Request, signal: AbortSignal) => Promise<Transferred<Reply>>,
): void {
  const running = new Map<number, AbortController>();
  const answer = async (id: number, request: Request): Promise<void> => {
    const controller = new AbortController();
    running.set(id, controller);
    try {
      const { value, transfer } = await handle(request, controller.signal);
      endpoint.postMessage({ id, ok: true, value } satisfies ReplyMessage<Reply>, transfer);
    } catch (error) {
      const cause = hiddenCause(error);
      endpoint.postMessage({ id, ok: false, error: toWireError(error), cause } satisfies ReplyMessage<Reply>);
    } finally {
      running.delete(id);
    }
  };
  endpoint.on('message', (received) => {
    const message = received as CallMessage<Request>;
    if (message.kind === 'call') void answer(message.id, message.request);
    else running.get(message.id)?.abort();
  });
  endpoint.postMessage({ id: 'serving' } satisfies ReplyMessage<Reply>);
}
