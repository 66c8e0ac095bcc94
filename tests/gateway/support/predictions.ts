/** Predictions as a caller sees them. */
import type { Prediction } from '@deblur/shared/protocol/prediction.ts';
import { env } from 'cloudflare:workers';
import { newPredictionId } from '../../../workers/gateway/predictions/prediction-id.ts';
import { call } from './gateway.ts';

export interface CreateOptions {
  readonly headers?: Record<string, string>;
  readonly path?: string;
  readonly method?: string;
}

export function create(body: unknown, options: CreateOptions = {}): Promise<Response> {
  const { headers = {}, path = '/v1/predictions', method = 'POST' } = options;
  return call(path, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

export const dataUri = (bytes: Uint8Array): string => `data:image/png;base64,${bytes.toBase64()}`;

/** Creates one and gives what it was answered with. */
export async function created(body: unknown, options: CreateOptions = {}): Promise<Prediction> {
  const response = await create(body, options);
  if (response.status >= 300) throw new Error(`${response.status}: ${await response.text()}`);
  return response.json<Prediction>();
}

export const get = (id: string, headers: Record<string, string> = {}): Promise<Response> =>
  call(`/v1/predictions/${id}`, { headers });

export const read = async (id: string): Promise<Prediction> => (await get(id)).json<Prediction>();

/** The prediction once it has come to its end. */
export async function ending(id: string): Promise<Prediction> {
  return reaching(id, ({ status }) => status !== 'starting' && status !== 'processing');
}

export async function reaching(id: string, reached: (prediction: Prediction) => boolean): Promise<Prediction> {
  for (;;) {
    const prediction = await read(id);
    if (reached(prediction)) return prediction;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export const cancel = async (id: string): Promise<Prediction> =>
  (await call(`/v1/predictions/${id}/cancel`, { method: 'POST' })).json<Prediction>();

/** The object of a prediction of the local tenant. */
export const objectOf = (id: string) => env.PREDICTIONS.get(env.PREDICTIONS.idFromName(`local/${id}`));

/** Ids in the list whose predictions are not there: those that were announced and never made, or have expired. */
export async function addGhosts(count: number): Promise<void> {
  const index = env.PREDICTION_INDEX.get(env.PREDICTION_INDEX.idFromName('local'));
  await Promise.all(Array.from({ length: count }, () => index.add(newPredictionId())));
}
