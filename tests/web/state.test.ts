import { describe, expect, it } from 'vitest';
import {
  DEFAULT_SETTINGS,
  INITIAL_STATE,
  isStale,
  reduce,
  type Event,
  type Failure,
  type Outcome,
  type Photo,
  type State,
} from '../../workers/web/state.ts';

const photo: Photo = { name: 'street.jpg', file: new Blob(['x']) };
const other: Photo = { name: 'field.jpg', file: new Blob(['y']) };
const failure: Failure = { title: 't', detail: 'd', code: null, requestId: null, retryable: true };
const outcome: Outcome = {
  picture: new Blob(['z']),
  model: 'dhnet-edge',
  placement: 'edge',
  engine: null,
  cache: 'miss',
  milliseconds: 1,
  link: null,
  notes: [],
};

function after(...events: readonly Event[]): State {
  return events.reduce(reduce, INITIAL_STATE);
}

describe('a run', () => {
  it('starts with the photo, goes through its activities and ends with the outcome', () => {
    const working = after({ kind: 'photo-chosen', photo });
    expect(working).toMatchObject({ run: 1, phase: { kind: 'working', photo, activity: { kind: 'sending' } } });
    const tiles = reduce(working, { kind: 'progressed', run: 1, activity: { kind: 'tiles', done: 1, total: 4 } });
    expect(tiles.phase).toMatchObject({ kind: 'working', activity: { done: 1, total: 4 } });
    expect(reduce(tiles, { kind: 'restored', run: 1, outcome }).phase).toMatchObject({ kind: 'done', photo, outcome });
  });

  it('is not disturbed by what an older run still says', () => {
    const second = after({ kind: 'photo-chosen', photo }, { kind: 'photo-chosen', photo: other });
    for (const late of [
      { kind: 'restored', run: 1, outcome },
      { kind: 'failed', run: 1, failure },
      { kind: 'progressed', run: 1, activity: { kind: 'writing' } },
    ] as const) {
      expect(reduce(second, late)).toBe(second);
    }
  });

  it('says nothing any more once it was cancelled', () => {
    const idle = after({ kind: 'photo-chosen', photo }, { kind: 'reset' });
    expect(idle.phase).toEqual({ kind: 'idle' });
    expect(reduce(idle, { kind: 'restored', run: 1, outcome })).toBe(idle);
  });

  it('is repeated with the same photo from a result or a failure, and from nowhere else', () => {
    const failed = after({ kind: 'photo-chosen', photo }, { kind: 'failed', run: 1, failure });
    expect(reduce(failed, { kind: 'repeated' })).toMatchObject({ run: 2, phase: { kind: 'working', photo } });
    const working = after({ kind: 'photo-chosen', photo });
    expect(reduce(working, { kind: 'repeated' })).toBe(working);
    expect(reduce(INITIAL_STATE, { kind: 'repeated' })).toBe(INITIAL_STATE);
  });
});

describe('settings', () => {
  it('make a result stale when they change after it began, and fresh again when they change back', () => {
    const done = after({ kind: 'photo-chosen', photo }, { kind: 'restored', run: 1, outcome });
    expect(isStale(done)).toBe(false);
    const changed = reduce(done, { kind: 'settings-changed', change: { metadata: 'strip' } });
    expect(isStale(changed)).toBe(true);
    expect(isStale(reduce(changed, { kind: 'settings-changed', change: { metadata: 'keep' } }))).toBe(false);
  });

  it('of a result are those that it began with', () => {
    const done = after(
      { kind: 'photo-chosen', photo },
      { kind: 'settings-changed', change: { format: 'png' } },
      { kind: 'restored', run: 1, outcome },
    );
    expect(done.phase).toMatchObject({ settings: DEFAULT_SETTINGS });
    expect(isStale(done)).toBe(true);
  });

  it('drop a format that no browser writes when the work moves to the device', () => {
    const avif = after({ kind: 'settings-changed', change: { format: 'avif' } });
    expect(reduce(avif, { kind: 'settings-changed', change: { onDevice: true } }).settings.format).toBe('auto');
    const png = after({ kind: 'settings-changed', change: { format: 'png' } });
    expect(reduce(png, { kind: 'settings-changed', change: { onDevice: true } }).settings.format).toBe('png');
  });

  it('fall back to auto when the chosen model turns out to be unavailable', () => {
    const choices = [{ name: 'dhnet', unavailable: 'no trained weights yet' }] as const;
    const state = after({ kind: 'settings-changed', change: { model: 'dhnet' } }, { kind: 'models-loaded', choices });
    expect(state.settings.model).toBe('auto');
  });
});
