/** What the service can run: `GET /v1/models`, read as far as the page needs it. */
import type { ModelName } from '@deblur/shared/protocol/options.ts';
import type { ModelChoice } from './state.ts';

const MODELS_TIMEOUT_MS = 10_000;

/** Best first, as the menu shows them; a record, so that a new model does not compile until it has its place. */
const RANK: Readonly<Record<ModelName, number>> = { 'dhnet-b': 0, dhnet: 1, 'dhnet-edge': 2 };

/** @throws {Error} when the list cannot be had or is not one: the page then offers `auto` alone */
export async function fetchModels(): Promise<readonly ModelChoice[]> {
  const response = await fetch('/v1/models', {
    headers: { Accept: 'application/json' },
    signal: AbortSignal.timeout(MODELS_TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`GET /v1/models: ${response.status}`);
  return parseModels(await response.json());
}

function isModelName(value: unknown): value is ModelName {
  return typeof value === 'string' && Object.hasOwn(RANK, value);
}

/** Entries that this page does not know are left out; a list without any is an error. */
export function parseModels(answer: unknown): readonly ModelChoice[] {
  const list = isRecord(answer) ? answer['models'] : null;
  if (!Array.isArray(list)) throw new Error('GET /v1/models: not a list');
  const choices = list.flatMap((entry: unknown): ModelChoice[] => {
    if (!isRecord(entry) || !isModelName(entry['name'])) return [];
    return [{ name: entry['name'], unavailable: entry['available'] === true ? null : 'no trained weights yet' }];
  });
  if (choices.length === 0) throw new Error('GET /v1/models: no known model');
  return choices.sort((a, b) => RANK[a.name] - RANK[b.name]);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
