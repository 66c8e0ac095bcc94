/** The photos: thumbnail, state, progress and remaining time of each. */
import { downloadZip } from 'client-zip';
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { remainingSeconds } from '../app/estimate.ts';
import { resultName } from '../app/format.ts';
import type { Activity, Item } from '../app/item.ts';
import { isActive, type State } from '../app/state.ts';
import type { Store } from '../app/store.ts';
import { text } from '../text/index.ts';
import { saveAs, useBlobUrl, useClock } from './dom.ts';

export function List({ state, store, onAdd }: { state: State; store: Store; onAdd: () => void }): VNode {
  const { items, selected } = state;
  const done = items.filter(({ work }) => work.kind === 'done').length;
  const now = useClock(items.some(isActive));
  return (
    <aside class="list" aria-label={text.list.label} data-testid="list">
      <div class="list-head">
        <p class="figures" role="status" data-testid="list-count">
          {text.list.count(done, items.length)}
        </p>
        <div class="buttons">
          <button type="button" class="button small" data-testid="add" onClick={onAdd}>
            {text.drop.add}
          </button>
          {done > 1 ? <DownloadAll items={items} /> : null}
        </div>
      </div>
      <ul>
        {items.map((item) => (
          <Row key={item.id} item={item} now={now} isSelected={item.id === selected} store={store} />
        ))}
      </ul>
    </aside>
  );
}

function Row({ item, now, isSelected, store }: { item: Item; now: number; isSelected: boolean; store: Store }): VNode {
  const url = useBlobUrl(item.work.kind === 'done' ? item.work.outcome.picture : item.source);
  const [broken, setBroken] = useState(false);
  const { label, share } = progressOf(item, now);
  return (
    <li data-testid="row" data-kind={item.work.kind}>
      <button
        type="button"
        class="row"
        aria-current={isSelected ? 'true' : undefined}
        onClick={() => store.dispatch({ kind: 'selected', id: item.id })}
      >
        {url === null || broken ? (
          <span class="thumbnail" />
        ) : (
          <img class="thumbnail" src={url} alt="" loading="lazy" decoding="async" onError={() => setBroken(true)} />
        )}
        <span class="row-text">
          <strong>{item.name}</strong>
          <span class="figures">{label}</span>
        </span>
        {share === null ? null : <progress max="1" value={share} aria-label={item.name} />}
      </button>
      <button
        type="button"
        class="remove"
        aria-label={text.list.remove(item.name)}
        onClick={() => store.dispatch({ kind: 'removed', id: item.id })}
      >
        ×
      </button>
    </li>
  );
}

interface Progress {
  readonly label: string;
  /** 0 to 1; null when nothing runs. */
  readonly share: number | null;
}

export function progressOf({ work }: Item, now: number): Progress {
  switch (work.kind) {
    case 'waiting':
      return { label: text.list.waiting, share: null };
    case 'done':
      return { label: work.outcome.verdict === 'already_sharp' ? text.list.sharp : text.list.done, share: null };
    case 'failed':
      return { label: text.list.failed, share: null };
    case 'stopped':
      return { label: text.list.stopped, share: null };
    case 'running': {
      const { done, total } = countOf(work.activity);
      const left = work.activity.kind === 'tiles' ? remainingSeconds(work.startedAt, done, total, now) : null;
      const label = activityText(work.activity);
      return {
        label: left === null ? label : `${label}, ${text.work.left(left)}`,
        share: total > 0 ? done / total : 0,
      };
    }
  }
}

function countOf(activity: Activity): { done: number; total: number } {
  return 'total' in activity ? activity : { done: 0, total: 0 };
}

export function activityText(activity: Activity): string {
  const percent = ({ done, total }: { done: number; total: number }): number =>
    total === 0 ? 0 : Math.floor((done / total) * 100);
  switch (activity.kind) {
    case 'uploading':
      return text.work.uploading(percent(activity));
    case 'queued':
      return text.work.queued;
    case 'pausing':
      return text.work.pausing(activity.seconds);
    case 'model':
      return activity.total === 0 ? text.work.reading : text.work.model(activity.done, activity.total);
    case 'starting':
      return text.work.starting;
    case 'tiles':
      return text.work.tiles(percent(activity));
    case 'writing':
      return text.work.writing;
  }
}

/** One ZIP, streamed: a picture is read when its turn comes. */
function DownloadAll({ items }: { items: readonly Item[] }): VNode {
  const save = async (): Promise<void> => {
    const taken = new Set<string>();
    const files = items.flatMap(({ name, addedAt, work }) => {
      if (work.kind !== 'done') return [];
      const { picture } = work.outcome;
      return [{ name: unique(resultName(name, picture.type), taken), lastModified: new Date(addedAt), input: picture }];
    });
    saveAs(await downloadZip(files).blob(), 'deblurred.zip');
  };
  return (
    <button type="button" class="button small" data-testid="download-all" onClick={() => void save()}>
      {text.list.downloadAll}
    </button>
  );
}

function unique(name: string, taken: Set<string>): string {
  const [, stem = name, ending = ''] = /^(.*?)(\.[^.]*)?$/.exec(name) ?? [];
  let candidate = name;
  for (let n = 2; taken.has(candidate); n++) candidate = `${stem} (${n})${ending}`;
  taken.add(candidate);
  return candidate;
}
