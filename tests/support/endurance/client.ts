/** A client that loses nothing: it repeats each create, under its idempotency key, until the service has answered it. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { predictionSchema, type Prediction } from '@deblur/shared/prediction.ts';
import type { z } from 'zod';

/** A prediction of the runner: a tile that is asked for is a reason not to use the edge. */
export interface Order {
  readonly picture: Buffer;
  readonly tile: number;
  readonly webhook: string;
  readonly traceId: string;
}

const PAUSE_MS = 500;
const CALL_TIMEOUT_MS = 30_000;

export class PatientClient {
  /** Creates that were repeated, because they had no answer or a refusal. */
  repeats = 0;
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** @param stop ends the patience */
  async create({ picture, tile, webhook, traceId }: Order, stop: AbortSignal): Promise<Prediction> {
    const image = `data:image/png;base64,${picture.toString('base64')}`;
    const headers = {
      'content-type': 'application/json',
      'idempotency-key': `picture-${traceId}`,
      prefer: 'respond-async',
      traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01`,
    };
    const body = JSON.stringify({ input: { image, tile }, webhook });
    return this.#read(predictionSchema, '/v1/predictions', { method: 'POST', headers, body, signal: stop });
  }

  prediction(id: string): Promise<Prediction> {
    return this.#read(predictionSchema, `/v1/predictions/${id}`);
  }

  async webhookSecret(): Promise<string> {
    const response = await this.#answer('/v1/webhooks/default/secret');
    return ((await response.json()) as { key: string }).key;
  }

  async file(url: string): Promise<Buffer> {
    return Buffer.from(await (await this.#answer(url)).arrayBuffer());
  }

  async #read<T>(schema: z.ZodType<T>, route: string, init?: RequestInit): Promise<T> {
    return schema.parse(await (await this.#answer(route, init)).json());
  }

  /** Until there is one that is not for another time. @throws {Error} what the service has against the request */
  async #answer(route: string, init: RequestInit = {}): Promise<Response> {
    for (;;) {
      const response = await this.#ask(route, init);
      if (response?.ok === true) return response;
      const status = response?.status ?? 503;
      if (status < 500 && status !== 409 && status !== 429) {
        throw new Error(`${route} was answered with ${status}: ${await response?.text()}`);
      }
      await response?.body?.cancel();
      init.signal?.throwIfAborted();
      this.repeats++;
      await sleep(PAUSE_MS);
    }
  }

  /** Undefined when the line was lost. */
  async #ask(route: string, init: RequestInit): Promise<Response | undefined> {
    const signals = [AbortSignal.timeout(CALL_TIMEOUT_MS), ...(init.signal ? [init.signal] : [])];
    try {
      return await fetch(new URL(route, this.#url), { ...init, signal: AbortSignal.any(signals) });
    } catch {
      return undefined;
    }
  }
}
