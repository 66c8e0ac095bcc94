import { describe, expect, it } from 'vitest';
import { newItem, type Item, type Outcome } from '../../workers/web/app/item.ts';
import { DEFAULT_SETTINGS } from '../../workers/web/app/settings.ts';
import {
  initialState,
  isStale,
  MAX_ITEMS,
  reduce,
  selectedItem,
  type Action,
  type State,
} from '../../workers/web/app/state.ts';

const photo = (name: string): Item => newItem(name, new Blob([name]), DEFAULT_SETTINGS);

const outcome: Outcome = {
  picture: new Blob(['restored']),
  model: 'dhnet-edge@0123456789ab',
  placement: 'edge',
  engine: null,
  cache: 'miss',
  milliseconds: 10,
  link: '/v1/results/a',
  scale: 1,
  change: null,
  verdict: null,
  notes: [],
};

const after = (state: State, ...actions: Action[]): State => actions.reduce(reduce, state);
const empty = initialState(DEFAULT_SETTINGS);

function finished(item: Item): Action[] {
  const of = { id: item.id, run: item.run };
  return [
    { kind: 'began', at: 1, ...of },
    { kind: 'finished', outcome, ...of },
  ];
}

describe('adding photos', () => {
  it('puts all of them on the list and selects the first', () => {
    const items = ['a', 'b', 'c'].map(photo);
    const state = after(empty, { kind: 'added', items });
    expect(state.items).toEqual(items);
    expect(selectedItem(state)).toBe(items[0]);
  });

  it('does not stop what is at work', () => {
    const first = photo('a');
    const state = after(
      empty,
      { kind: 'added', items: [first] },
      { kind: 'began', at: 1, id: first.id, run: 0 },
      { kind: 'added', items: [photo('b')] },
    );
    expect(state.items.map(({ work }) => work.kind)).toEqual(['waiting', 'running']);
  });

  it('drops the oldest finished photos beyond the limit, and never one at work', () => {
    const old = Array.from({ length: MAX_ITEMS }, (_, n) => photo(`old${n}`));
    const oldest = old.at(-1)!;
    const atWork = old.at(-2)!;
    const state = after(
      empty,
      { kind: 'added', items: old },
      ...old.filter((item) => item !== atWork).flatMap(finished),
    );
    const { items } = after(state, { kind: 'added', items: [photo('new')] });
    expect(items).toHaveLength(MAX_ITEMS);
    expect(items.map(({ id }) => id)).not.toContain(oldest.id);
    expect(items.map(({ id }) => id)).toContain(atWork.id);
  });
});

describe('a run', () => {
  const item = photo('a');
  const of = { id: item.id, run: 0 };
  const running = after(empty, { kind: 'added', items: [item] }, { kind: 'began', at: 5, ...of });

  it('keeps its activity and its prediction until it is finished', () => {
    const progressed = after(
      running,
      { kind: 'progressed', activity: { kind: 'tiles', done: 1, total: 4 }, ...of },
      { kind: 'accepted', prediction: '/v1/predictions/x', ...of },
    );
    expect(progressed.items[0]!.work).toEqual({
      kind: 'running',
      activity: { kind: 'tiles', done: 1, total: 4 },
      startedAt: 5,
      prediction: '/v1/predictions/x',
    });
    expect(reduce(progressed, { kind: 'finished', outcome, ...of }).items[0]!.work).toEqual({ kind: 'done', outcome });
  });

  it('ignores reports of an older run', () => {
    const again = after(
      running,
      { kind: 'stopped', id: item.id },
      { kind: 'repeated', id: item.id },
      { kind: 'began', at: 9, id: item.id, run: 1 },
    );
    expect(reduce(again, { kind: 'finished', outcome, ...of }).items[0]!.work).toMatchObject({
      kind: 'running',
      startedAt: 9,
    });
  });

  it('ignores reports after it was stopped', () => {
    const stopped = reduce(running, { kind: 'stopped', id: item.id });
    expect(reduce(stopped, { kind: 'finished', outcome, ...of }).items[0]!.work).toEqual({ kind: 'stopped' });
  });

  it('is repeated with the settings of now, and only when it is over', () => {
    const changed = reduce(running, { kind: 'settings-changed', change: { format: 'webp' } });
    expect(reduce(changed, { kind: 'repeated', id: item.id }).items[0]!.run).toBe(0);
    const over = reduce(changed, { kind: 'finished', outcome, ...of });
    expect(isStale(over, over.items[0]!)).toBe(true);
    const again = reduce(over, { kind: 'repeated', id: item.id });
    expect(again.items[0]).toMatchObject({ run: 1, settings: { format: 'webp' }, work: { kind: 'waiting' } });
    expect(isStale(again, again.items[0]!)).toBe(false);
  });
});

describe('removing a photo', () => {
  it('selects its neighbour, and nothing after the last one', () => {
    const items = ['a', 'b'].map(photo);
    const state = after(empty, { kind: 'added', items }, { kind: 'removed', id: items[0]!.id });
    expect(selectedItem(state)).toBe(items[1]);
    expect(reduce(state, { kind: 'removed', id: items[1]!.id })).toMatchObject({ items: [], selected: null });
  });
});

it('selects nothing for an id that is not on the list', () => {
  const state = after(empty, { kind: 'added', items: [photo('a')] }, { kind: 'selected', id: 'unknown' });
  expect(state.selected).toBeNull();
});

it('returns to the format of the photo when the device cannot write the chosen one', () => {
  const state = after(
    empty,
    { kind: 'settings-changed', change: { format: 'avif' } },
    { kind: 'settings-changed', change: { onDevice: true } },
  );
  expect(state.settings).toMatchObject({ format: 'auto', onDevice: true });
});
