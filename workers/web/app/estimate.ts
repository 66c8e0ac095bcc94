/**
 * How long a photo will take, said before it starts. The service's own measurement counts; without one, what earlier
 * photos took here; without any, nothing is said.
 */
import type { Item, Outcome } from './item.ts';
import type { Offer } from './state.ts';

const STORAGE_KEY = 'deblur-seconds-per-megapixel';
const WEIGHT_OF_NEWEST = 0.5;

export interface Estimate {
  readonly seconds: number;
}

export function estimateSeconds(megapixels: number, item: Pick<Item, 'settings'>, offer: Offer | null): number | null {
  const { quality, onDevice } = item.settings;
  const model = offer?.[quality];
  const measured = onDevice || !model ? undefined : offer?.secondsPerMegapixel[model];
  const rate = measured ?? readRates()[rateKey(item)];
  return rate === undefined ? null : Math.max(1, Math.round(rate * megapixels));
}

/** Remembers what a photo took, unless the result was stored already. */
export function learn(item: Pick<Item, 'settings'>, { cache, milliseconds }: Outcome, megapixels: number): void {
  if (cache === 'hit' || !(megapixels > 0)) return;
  const rates = readRates();
  const key = rateKey(item);
  const rate = milliseconds / 1000 / megapixels;
  const before = rates[key] ?? rate;
  try {
    const next = { ...rates, [key]: before + WEIGHT_OF_NEWEST * (rate - before) };
    localStorage.setItem(STORAGE_KEY, JSON.stringify(next));
  } catch {
    return;
  }
}

/** Seconds left from what is done so far; null before a tenth is done. */
export function remainingSeconds(startedAt: number, done: number, total: number, now: number): number | null {
  if (total <= 0 || done / total < 0.1) return null;
  return Math.max(1, Math.round((((now - startedAt) / 1000) * (total - done)) / done));
}

const rateKey = ({ settings }: Pick<Item, 'settings'>): string =>
  `${settings.onDevice ? 'device' : 'service'} ${settings.quality}`;

function readRates(): Record<string, number> {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? '{}');
    if (typeof kept !== 'object' || kept === null) return {};
    return Object.fromEntries(Object.entries(kept).filter(([, rate]) => typeof rate === 'number' && rate > 0));
  } catch {
    return {};
  }
}
