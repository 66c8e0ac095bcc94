/** Everything the page knows, and how it changes: a pure function of what happened. */
import type { Activity, Failure, Item, Outcome, Work } from './item.ts';
import { consistent, type Settings } from './settings.ts';

/** What the service offers; null while it is unknown. */
export interface Offer {
  /** Model names by the page's two qualities; null when the service has no such model. */
  readonly quick: string | null;
  readonly best: string | null;
  /** Measured seconds for each megapixel by model name. */
  readonly secondsPerMegapixel: Readonly<Record<string, number>>;
}

export interface State {
  /** Newest first. */
  readonly items: readonly Item[];
  /** The item on the stage; null for the invitation. */
  readonly selected: string | null;
  readonly settings: Settings;
  readonly offer: Offer | null;
  /** The browser keeps nothing: a private window, or a full disk. */
  readonly keepsNothing: boolean;
}

/** How many photos the list keeps. */
export const MAX_ITEMS = 20;

export type Action =
  | { readonly kind: 'restored-library'; readonly items: readonly Item[] }
  | { readonly kind: 'added'; readonly items: readonly Item[] }
  | { readonly kind: 'selected'; readonly id: string | null }
  | { readonly kind: 'removed'; readonly id: string }
  | { readonly kind: 'repeated'; readonly id: string; readonly change?: Partial<Settings> }
  | { readonly kind: 'stopped'; readonly id: string }
  | { readonly kind: 'settings-changed'; readonly change: Partial<Settings> }
  | { readonly kind: 'offer-known'; readonly offer: Offer }
  | { readonly kind: 'storage-failed' }
  | ({ readonly id: string; readonly run: number } & RunEvent);

export type RunEvent =
  | { readonly kind: 'began'; readonly at: number }
  | { readonly kind: 'progressed'; readonly activity: Activity }
  | { readonly kind: 'accepted'; readonly prediction: string }
  | { readonly kind: 'finished'; readonly outcome: Outcome }
  | { readonly kind: 'failed'; readonly failure: Failure };

export function initialState(settings: Settings): State {
  return { items: [], selected: null, settings, offer: null, keepsNothing: false };
}

export function reduce(state: State, action: Action): State {
  switch (action.kind) {
    case 'restored-library':
      return { ...state, items: [...state.items, ...action.items].slice(0, MAX_ITEMS) };
    case 'added':
      return add(state, action.items);
    case 'selected':
      return { ...state, selected: state.items.some(({ id }) => id === action.id) ? action.id : null };
    case 'removed':
      return remove(state, action.id);
    case 'repeated':
      return change(state, action.id, (item) => repeat(item, { ...state.settings, ...action.change }));
    case 'stopped':
      return change(state, action.id, (item) => (isActive(item) ? { ...item, work: { kind: 'stopped' } } : item));
    case 'settings-changed':
      return { ...state, settings: consistent({ ...state.settings, ...action.change }) };
    case 'offer-known':
      return { ...state, offer: action.offer };
    case 'storage-failed':
      return { ...state, keepsNothing: true };
    default:
      return change(state, action.id, (item) => (item.run === action.run ? advance(item, action) : item));
  }
}

export const isActive = ({ work }: Item): boolean => work.kind === 'waiting' || work.kind === 'running';

export const selectedItem = ({ items, selected }: State): Item | undefined => items.find(({ id }) => id === selected);

/** The oldest finished items make room; what is at work is never dropped. */
function add(state: State, added: readonly Item[]): State {
  const all = [...added, ...state.items];
  let surplus = all.length - MAX_ITEMS;
  const kept = all
    .toReversed()
    .filter((item) => surplus <= 0 || isActive(item) || added.includes(item) || surplus-- <= 0)
    .toReversed();
  return { ...state, items: kept, selected: added[0]?.id ?? state.selected };
}

function remove(state: State, id: string): State {
  const index = state.items.findIndex((item) => item.id === id);
  const items = state.items.filter((item) => item.id !== id);
  if (state.selected !== id) return { ...state, items };
  return { ...state, items, selected: (items[index] ?? items[index - 1])?.id ?? null };
}

function change(state: State, id: string, update: (item: Item) => Item): State {
  return { ...state, items: state.items.map((item) => (item.id === id ? update(item) : item)) };
}

function repeat(item: Item, settings: Settings): Item {
  return isActive(item) ? item : { ...item, settings, run: item.run + 1, work: { kind: 'waiting' } };
}

function advance(item: Item, event: RunEvent): Item {
  const { work } = item;
  if (event.kind === 'began') {
    if (work.kind !== 'waiting') return item;
    const activity: Activity = { kind: 'queued' };
    return { ...item, work: { kind: 'running', activity, startedAt: event.at, prediction: null } };
  }
  if (work.kind !== 'running') return item;
  return { ...item, work: running(work, event) };
}

function running(work: Extract<Work, { kind: 'running' }>, event: Exclude<RunEvent, { kind: 'began' }>): Work {
  switch (event.kind) {
    case 'progressed':
      return { ...work, activity: event.activity };
    case 'accepted':
      return { ...work, prediction: event.prediction };
    case 'finished':
      return { kind: 'done', outcome: event.outcome };
    case 'failed':
      return { kind: 'failed', failure: event.failure };
  }
}

/** The settings differ from those of the item's newest run, so a repetition would give another result. */
export function isStale({ settings }: State, item: Item): boolean {
  return (Object.keys(settings) as (keyof Settings)[]).some((key) => item.settings[key] !== settings[key]);
}
