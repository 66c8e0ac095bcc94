/** What the service can run: `GET /v1/models`, read as far as the page needs it. */
import type { Offer } from '../app/state.ts';
import { isRecord } from './problem.ts';

const MODELS_TIMEOUT_MS = 10_000;

/** @throws {Error} when the list cannot be had or is not one */
export async function fetchOffer(): Promise<Offer> {
  const response = await fetch('/v1/models', {
    headers: { Accept: 'application/json' },
    signal: AbortSignal.timeout(MODELS_TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`GET /v1/models: ${response.status}`);
  return parseOffer(await response.json());
}

/** The list has the best model first. Models without trained weights are not offered. */
export function parseOffer(answer: unknown): Offer {
  const list = isRecord(answer) ? answer['models'] : null;
  if (!Array.isArray(list)) throw new Error('GET /v1/models: not a list');
  const available = list.filter(
    (entry): entry is Record<string, unknown> => isRecord(entry) && entry['available'] === true,
  );
  const names = available.map((entry) => entry['name']).filter((name) => typeof name === 'string');
  const secondsPerMegapixel = Object.fromEntries(
    available.flatMap(({ name, seconds_per_megapixel: seconds }) =>
      typeof name === 'string' && typeof seconds === 'number' && seconds > 0 ? [[name, seconds]] : [],
    ),
  );
  const quick = names.at(-1) ?? null;
  const best = names[0] ?? null;
  return { quick, best: best === quick ? null : best, secondsPerMegapixel };
}
