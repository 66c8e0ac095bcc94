/**
 * Everything the page knows, and how it changes: a pure function of what happened. Views draw it, main.ts acts on it.
 */
import type { MetadataMode, ModelName, OutputFormat } from '@deblur/shared/protocol/options.ts';

/** A picture as the person gave it. */
export interface Photo {
  readonly name: string;
  readonly file: Blob;
}

export interface Settings {
  readonly model: 'auto' | ModelName;
  readonly format: 'auto' | OutputFormat;
  readonly metadata: MetadataMode;
  readonly onDevice: boolean;
}

export const DEFAULT_SETTINGS: Settings = { model: 'auto', format: 'auto', metadata: 'keep', onDevice: false };

/** What is being done right now. Bytes and tiles count up to their total. */
export type Activity =
  | { readonly kind: 'sending' }
  | { readonly kind: 'queued' }
  | { readonly kind: 'waiting'; readonly reason: string; readonly seconds: number; readonly attempt: number }
  | { readonly kind: 'model'; readonly done: number; readonly total: number }
  | { readonly kind: 'starting'; readonly provider: 'webgpu' | 'wasm' }
  | { readonly kind: 'tiles'; readonly done: number; readonly total: number }
  | { readonly kind: 'writing' };

export const CACHE_STATES = ['hit', 'miss', 'coalesced'] as const;
export type CacheState = (typeof CACHE_STATES)[number];

export interface Outcome {
  readonly picture: Blob;
  /** The model that really ran, as `name@version`, when the service or the device says so. */
  readonly model: string | null;
  readonly placement: 'edge' | 'runner' | 'device' | null;
  /** What computed it on this device, such as `WebGPU`; null elsewhere. */
  readonly engine: string | null;
  readonly cache: CacheState | null;
  readonly milliseconds: number;
  /** Path of the stored result on this origin. */
  readonly link: string | null;
  /** What the person should know about this result, in whole sentences. */
  readonly notes: readonly string[];
}

export interface Failure {
  readonly title: string;
  readonly detail: string;
  readonly code: string | null;
  readonly requestId: string | null;
  /** The same picture with the same settings may succeed later. */
  readonly retryable: boolean;
}

/** Thrown by whatever restores; main.ts turns it into a `failed` event. */
export class RestoreError extends Error {
  override readonly name = 'RestoreError';
  readonly failure: Failure;

  constructor(failure: Failure, options?: ErrorOptions) {
    super(`${failure.title}: ${failure.detail}`, options);
    this.failure = failure;
  }
}

export interface ModelChoice {
  readonly name: ModelName;
  /** Null when it can be chosen, else why not. */
  readonly unavailable: string | null;
}

export type Models =
  | { readonly kind: 'loading' }
  | { readonly kind: 'loaded'; readonly choices: readonly ModelChoice[] }
  | { readonly kind: 'unknown' };

export type Phase =
  | { readonly kind: 'idle' }
  | { readonly kind: 'working'; readonly photo: Photo; readonly settings: Settings; readonly activity: Activity }
  | { readonly kind: 'done'; readonly photo: Photo; readonly outcome: Outcome; readonly settings: Settings }
  | { readonly kind: 'failed'; readonly photo: Photo; readonly failure: Failure; readonly settings: Settings };

export interface State {
  /** Counts the runs started. Events of an older run are late and change nothing. */
  readonly run: number;
  readonly phase: Phase;
  readonly settings: Settings;
  readonly models: Models;
}

export const INITIAL_STATE: State = {
  run: 0,
  phase: { kind: 'idle' },
  settings: DEFAULT_SETTINGS,
  models: { kind: 'loading' },
};

export type Event =
  | { readonly kind: 'photo-chosen'; readonly photo: Photo }
  | { readonly kind: 'repeated' }
  | { readonly kind: 'progressed'; readonly run: number; readonly activity: Activity }
  | { readonly kind: 'restored'; readonly run: number; readonly outcome: Outcome }
  | { readonly kind: 'failed'; readonly run: number; readonly failure: Failure }
  | { readonly kind: 'reset' }
  | { readonly kind: 'settings-changed'; readonly change: Partial<Settings> }
  | { readonly kind: 'models-loaded'; readonly choices: readonly ModelChoice[] }
  | { readonly kind: 'models-unknown' };

export function reduce(state: State, event: Event): State {
  switch (event.kind) {
    case 'photo-chosen':
      return begin(state, event.photo);
    case 'repeated':
      return state.phase.kind === 'done' || state.phase.kind === 'failed' ? begin(state, state.phase.photo) : state;
    case 'reset':
      return { ...state, phase: { kind: 'idle' } };
    case 'settings-changed':
      return { ...state, settings: consistent({ ...state.settings, ...event.change }) };
    case 'models-loaded':
      return withModels(state, event.choices);
    case 'models-unknown':
      return { ...state, models: { kind: 'unknown' } };
    case 'progressed':
    case 'restored':
    case 'failed':
      return event.run === state.run && state.phase.kind === 'working' ? advance(state, state.phase, event) : state;
  }
}

function begin(state: State, photo: Photo): State {
  const activity: Activity = state.settings.onDevice ? { kind: 'model', done: 0, total: 0 } : { kind: 'sending' };
  return { ...state, run: state.run + 1, phase: { kind: 'working', photo, settings: state.settings, activity } };
}

type RunEvent = Extract<Event, { readonly run: number }>;

function advance(state: State, { photo, settings }: Extract<Phase, { kind: 'working' }>, event: RunEvent): State {
  switch (event.kind) {
    case 'progressed':
      return { ...state, phase: { kind: 'working', photo, settings, activity: event.activity } };
    case 'restored':
      return { ...state, phase: { kind: 'done', photo, outcome: event.outcome, settings } };
    case 'failed':
      return { ...state, phase: { kind: 'failed', photo, failure: event.failure, settings } };
  }
}

/** Formats that a browser's canvas can write; Safari writes no WebP and then PNG is made. */
export const DEVICE_FORMATS = ['jpeg', 'png', 'webp'] as const satisfies readonly OutputFormat[];
export type DeviceFormat = (typeof DEVICE_FORMATS)[number];

function consistent(settings: Settings): Settings {
  const { onDevice, format: wanted } = settings;
  if (!onDevice || wanted === 'auto' || DEVICE_FORMATS.some((format) => format === wanted)) return settings;
  return { ...settings, format: 'auto' };
}

function withModels(state: State, choices: readonly ModelChoice[]): State {
  const chosen = choices.find(({ name }) => name === state.settings.model);
  const model = chosen?.unavailable === null ? chosen.name : 'auto';
  return { ...state, models: { kind: 'loaded', choices }, settings: { ...state.settings, model } };
}

/** The settings were changed since this result or failure came about, so a repetition would give another one. */
export function isStale({ phase, settings }: State): boolean {
  if (phase.kind !== 'done' && phase.kind !== 'failed') return false;
  return (Object.keys(DEFAULT_SETTINGS) as (keyof Settings)[]).some((key) => phase.settings[key] !== settings[key]);
}
