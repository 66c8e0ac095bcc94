/** A client that loses nothing: it repeats each create, under its idempotency key, until the service has answered it. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { predictionSchema, type Prediction } from '@deblur/shared/protocol/prediction.ts';

/** A prediction of the runner: a tile that is asked for is a reason not to use the edge. */
export interface Order {
  readonly picture: Buffer;
  readonly tile: number;
  readonly webhook: string;
  readonly traceId: string;
}

const PAUSE_MS = 500;
const CALL_TIMEOUT_MS = 60_000;

export class PatientClient {
  /** Creates that were repeated, because they had no answer or a refusal. */
  repeats = 0;
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** @returns the prediction's id; undefined when `stop` ended the patience */
  async create({ picture, tile, webhook, traceId }: Order, stop: AbortSignal): Promise<string | undefined> {
    const image = `data:image/png;base64,${picture.toString('base64')}`;
    const headers = {
      'content-type': 'application/json',
      'idempotency-key': `picture-${traceId}`,
      prefer: 'respond-async',
      traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01`,
    };
    const body = JSON.stringify({ input: { image, tile }, webhook });
    const init = { method: 'POST', headers, body, signal: stop };
    try {
      return (await this.#prediction('/v1/predictions', init)).id;
    } catch (error) {
      if (stop.aborted) return undefined;
      throw error;
    }
  }

  prediction(id: string): Promise<Prediction> {
    return this.#prediction(`/v1/predictions/${id}`);
  }

  async webhookSecret(): Promise<string> {
    return (JSON.parse((await this.#answer('/v1/webhooks/default/secret')).toString()) as { key: string }).key;
  }

  file(url: string): Promise<Buffer> {
    return this.#answer(url);
  }

  async #prediction(route: string, init?: RequestInit): Promise<Prediction> {
    return predictionSchema.parse(JSON.parse((await this.#answer(route, init)).toString()));
  }

  /** Until there is one that is not for another time. @throws {Error} what the service has against the request */
  async #answer(route: string, init: RequestInit = {}): Promise<Buffer> {
    for (;;) {
      const { status, body } = await this.#ask(route, init);
      if (status >= 200 && status < 300) return body;
      if (status < 500 && status !== 409 && status !== 429) {
        throw new Error(`${route} was answered with ${status}: ${body.toString()}`);
      }
      init.signal?.throwIfAborted();
      this.repeats++;
      await sleep(PAUSE_MS);
    }
  }

  async #ask(route: string, init: RequestInit): Promise<Answer> {
    const signals = [AbortSignal.timeout(CALL_TIMEOUT_MS), ...(init.signal ? [init.signal] : [])];
    try {
      const response = await fetch(new URL(route, this.#url), { ...init, signal: AbortSignal.any(signals) });
      return { status: response.status, body: Buffer.from(await response.arrayBuffer()) };
    } catch {
      return LINE_LOST;
    }
  }
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

const LINE_LOST: Answer = { status: 503, body: Buffer.alloc(0) };
