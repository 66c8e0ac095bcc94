/** What the service can run: `GET /v1/models`, read as far as the page needs it. */
import type { ModelChoice } from './state.ts';

const MODELS_TIMEOUT_MS = 10_000;

/** @throws {Error} when the list cannot be had or is not one: the page then offers `auto` alone */
export async function fetchModels(): Promise<readonly ModelChoice[]> {
  const response = await fetch('/v1/models', {
    headers: { Accept: 'application/json' },
    signal: AbortSignal.timeout(MODELS_TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`GET /v1/models: ${response.status}`);
  return parseModels(await response.json());
}

/** In the order of the list, which has the best first. Entries without a name are left out; a list without any is an error. */
export function parseModels(answer: unknown): readonly ModelChoice[] {
  const list = isRecord(answer) ? answer['models'] : null;
  if (!Array.isArray(list)) throw new Error('GET /v1/models: not a list');
  const choices = list.flatMap((entry: unknown): ModelChoice[] => {
    if (!isRecord(entry) || typeof entry['name'] !== 'string') return [];
    return [{ name: entry['name'], unavailable: entry['available'] === true ? null : 'no trained weights yet' }];
  });
  if (choices.length === 0) throw new Error('GET /v1/models: no model');
  return choices;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
