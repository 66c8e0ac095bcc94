/** `/v1/predictions`: create, read, list, cancel, follow. */
import { errorOfPrediction } from './errors.ts';
import { serverSentEvents } from './event-stream.ts';
import { pagesOf } from './pages.ts';
import { apiOptions, sourceOf, type Picture } from './picture.ts';
import { sleep, type ApiRequest, type Transport } from './transport.ts';
import type { Prediction, PredictionEvent, Progress, RestoreOptions, WebhookEventName } from './types.ts';

export interface CreateOptions extends RestoreOptions {
  /** Is called by Standard Webhooks when the prediction ends, or at the events that `webhookEvents` names. */
  readonly webhook?: string | URL;
  readonly webhookEvents?: readonly WebhookEventName[];
  /** The service gives up after so many seconds: the prediction fails with `deadline_exceeded`. */
  readonly deadlineSeconds?: number;
  /** Two creates with the same key are one; by default each call of this function has a key of its own. */
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface FollowOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface WaitOptions extends FollowOptions {
  /** Called at each tile that is done, as far as the stream of events tells of it. */
  readonly onProgress?: ((progress: Progress, prediction: Prediction) => void) | undefined;
}

/** A stream that ended or broke before the prediction did is opened again after this. */
const RECONNECT_MS = 1_000;
/** The service writes at least every 15 s: after this a connection is dead, or something on the way holds it back. */
const SILENCE_MAX_MS = 45_000;

export class Predictions {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Begins to restore a picture. A create whose answer is lost is sent again with the same Idempotency-Key and stays one.
   * @returns the prediction as it begins
   * @throws {DeblurError} what the service refuses; {TypeError} for what is no picture
   */
  async create(picture: Picture, options: CreateOptions = {}): Promise<Prediction> {
    const source = sourceOf(picture);
    const given = apiOptions(options);
    const webhook = webhookOf(options);
    const { deadlineSeconds, signal } = options;
    const headers = {
      'Idempotency-Key': options.idempotencyKey ?? newKey(),
      Prefer: 'respond-async',
      ...(deadlineSeconds === undefined ? {} : { 'Cancel-After': `${deadlineSeconds}s` }),
    };
    const request = { method: 'POST', signal, repeat: 'always' } as const;
    if (source.kind === 'name') {
      const body = JSON.stringify({ input: { image: source.name, ...given }, ...webhook });
      return this.#read({ ...request, body, headers: { ...headers, 'Content-Type': 'application/json' } });
    }
    // Outside JSON everything stands in the query, and a list is joined by commas.
    const query = Object.fromEntries(Object.entries({ ...given, ...webhook }).map(([name, of]) => [name, String(of)]));
    const type = { 'Content-Type': 'application/octet-stream' };
    return this.#read({ ...request, query, body: source.bytes, headers: { ...headers, ...type } });
  }

  /** @throws {DeblurError} `not_found` */
  get(id: string, { signal }: FollowOptions = {}): Promise<Prediction> {
    return this.#read({ signal, repeat: 'always' }, `/${encodeURIComponent(id)}`);
  }

  /** The prediction; what has ended stays as it ended. @throws {DeblurError} `not_found` */
  cancel(id: string, { signal }: FollowOptions = {}): Promise<Prediction> {
    return this.#read({ method: 'POST', signal, repeat: 'always' }, `/${encodeURIComponent(id)}/cancel`);
  }

  /** The caller's predictions, newest first; pages are fetched as they are needed. */
  list({ signal }: FollowOptions = {}): AsyncGenerator<Prediction, void> {
    return pagesOf<Prediction>(this.#transport, '/v1/predictions', signal);
  }

  /**
   * The events of a prediction until it has ended. A connection that breaks is opened again and goes on after the last event;
   * where no events come through, the prediction is read once for each connection.
   * @throws {DeblurError} `not_found`; `connection_failed` when the service is not there
   */
  async *events(id: string, { signal }: FollowOptions = {}): AsyncGenerator<PredictionEvent, void> {
    let lastId: string | undefined;
    for (;;) {
      for await (const { id: eventId, event, data } of this.#stream(id, lastId, signal)) {
        lastId = eventId ?? lastId;
        yield { event: event as PredictionEvent['event'], prediction: JSON.parse(data) as Prediction };
        if (event === 'completed') return;
      }
      const now = await this.get(id, { signal });
      if (isTerminal(now)) return yield { event: 'completed', prediction: now };
      await sleep(RECONNECT_MS, signal);
    }
  }

  /**
   * Waits for the end.
   * @returns the prediction with its `output`
   * @throws {DeblurError} the code of a prediction that failed; `canceled`; the signal's reason
   */
  async wait(id: string, { signal, onProgress }: WaitOptions = {}): Promise<Prediction> {
    for await (const { event, prediction } of this.events(id, { signal })) {
      if (prediction.progress !== null) onProgress?.(prediction.progress, prediction);
      if (event !== 'completed') continue;
      if (prediction.status === 'succeeded') return prediction;
      throw errorOfPrediction(prediction);
    }
    throw new Error('events() ends with `completed` or throws');
  }

  async #read(request: ApiRequest, path = ''): Promise<Prediction> {
    const response = await this.#transport.call(`/v1/predictions${path}`, request);
    return (await response.json()) as Prediction;
  }

  /** One connection: its events until it ends or breaks. */
  async *#stream(id: string, lastId: string | undefined, signal: AbortSignal | undefined) {
    const headers = { Accept: 'text/event-stream', ...(lastId === undefined ? {} : { 'Last-Event-ID': lastId }) };
    const path = `/v1/predictions/${encodeURIComponent(id)}`;
    const { body } = await this.#transport.call(path, { headers, signal, repeat: 'always' });
    if (body === null) return;
    try {
      yield* serverSentEvents(body, SILENCE_MAX_MS);
    } catch {
      signal?.throwIfAborted();
    }
  }
}

const isTerminal = ({ status }: Prediction): boolean => status !== 'starting' && status !== 'processing';

function webhookOf({ webhook, webhookEvents }: CreateOptions): Record<string, string | readonly string[]> {
  return {
    ...(webhook === undefined ? {} : { webhook: String(webhook) }),
    ...(webhookEvents === undefined ? {} : { webhook_events_filter: webhookEvents }),
  };
}

/** 128 random bits. `crypto.randomUUID` is missing on pages without TLS. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
