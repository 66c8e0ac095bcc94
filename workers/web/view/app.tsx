/** The page as a whole. */
import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { estimateSeconds } from '../app/estimate.ts';
import type { Photo } from '../app/files.ts';
import { newItem, type Item } from '../app/item.ts';
import { isStale, selectedItem, type State } from '../app/state.ts';
import type { Store } from '../app/store.ts';
import { text } from '../text/index.ts';
import { Developers } from './developers.tsx';
import { useBlobUrl, useClock, useStore } from './dom.ts';
import { FailureView } from './failure.tsx';
import { useIntake } from './intake.tsx';
import { List, progressOf } from './list.tsx';
import { Result } from './result.tsx';
import { SettingsView } from './settings.tsx';
import { Stage } from './stage.tsx';
import { Welcome, type Example } from './welcome.tsx';

export interface AppProps {
  readonly store: Store;
  readonly canUseDevice: boolean;
  /** The model's name that the service is asked for. */
  readonly modelOf: (item: Item) => string;
}

export function App({ store, canUseDevice, modelOf }: AppProps): VNode {
  const state = useStore(store);
  const item = selectedItem(state);
  const add = (photos: readonly Photo[]): void =>
    store.dispatch({ kind: 'added', items: photos.map(({ name, file }) => newItem(name, file, state.settings)) });
  const { inputs, choose, chooseFolder, message } = useIntake({ onPhotos: add });
  const home = (event: Event): void => {
    event.preventDefault();
    store.dispatch({ kind: 'selected', id: null });
  };
  return (
    <>
      <header class="masthead">
        <a class="wordmark" href="/" aria-label={text.startAgain} onClick={home}>
          {text.title}
        </a>
      </header>
      <main data-testid="main" data-kind={item?.work.kind ?? 'idle'}>
        <div class={item === undefined ? 'intro' : 'visually-hidden'}>
          <h1>{text.headline}</h1>
          <p>{text.lead}</p>
        </div>
        {inputs}
        <p class="message" role="status" data-testid="message">
          {message ?? (state.keepsNothing ? text.storage : '')}
        </p>
        {item === undefined ? (
          <Welcome
            choose={choose}
            chooseFolder={chooseFolder}
            onExample={(example) => void openExample(example, store)}
          />
        ) : null}
        <SettingsView
          state={state}
          canUseDevice={canUseDevice}
          onChange={(change) => store.dispatch({ kind: 'settings-changed', change })}
        />
        <Privacy onDevice={state.settings.onDevice} />
        {item === undefined ? null : (
          <Workbench key={item.id} {...{ item, state, store, canUseDevice, modelOf }} onAnother={choose} />
        )}
        {state.items.length === 0 ? null : <List state={state} store={store} onAdd={choose} />}
      </main>
      <footer>
        <p>{text.examples.credit}</p>
        <nav aria-label={text.developers.label}>
          <a href="/docs">{text.developers.links.docs}</a>
          <a href="/privacy">{text.privacy.more}</a>
          <a href="/healthz">{text.developers.links.status}</a>
        </nav>
      </footer>
      <p class="drop-cover" aria-hidden="true">
        {text.drop.cover}
      </p>
    </>
  );
}

function Privacy({ onDevice }: { onDevice: boolean }): VNode {
  return (
    <p class="privacy hint" data-testid="privacy">
      {onDevice ? text.privacy.device : text.privacy.service(RETENTION_DAYS)} <a href="/privacy">{text.privacy.more}</a>
    </p>
  );
}

interface WorkbenchProps extends AppProps {
  readonly item: Item;
  readonly state: State;
  readonly onAnother: () => void;
}

function Workbench({ item, state, store, canUseDevice, modelOf, onAnother }: WorkbenchProps): VNode {
  const { work, id } = item;
  const outcome = work.kind === 'done' ? work.outcome : null;
  const [strength, setStrength] = useState(1);
  useEffect(() => setStrength(1), [item.run]);
  const before = useBlobUrl(item.source);
  const after = useBlobUrl(outcome?.picture);
  const again = (change = {}): void => store.dispatch({ kind: 'repeated', id, change });
  if (work.kind === 'failed') {
    const onPlace = (onDevice: boolean): void => {
      store.dispatch({ kind: 'settings-changed', change: { onDevice } });
      again({ onDevice });
    };
    return (
      <FailureView {...{ item, canUseDevice, onPlace, onAnother }} failure={work.failure} onRetry={() => again()} />
    );
  }
  return (
    <>
      <Stage name={item.name} before={before} after={after} strength={strength}>
        {outcome === null ? <Working {...{ item, state, store, before }} onAgain={() => again()} /> : null}
      </Stage>
      {outcome === null ? null : (
        <Result
          {...{ item, outcome, strength, setStrength }}
          model={modelOf(item)}
          isStale={isStale(state, item)}
          onAgain={() => again()}
        />
      )}
      {outcome === null || outcome.placement === 'device' ? null : <Developers item={item} model={modelOf(item)} />}
    </>
  );
}

interface WorkingProps {
  readonly item: Item;
  readonly state: State;
  readonly store: Store;
  readonly before: string | null;
  readonly onAgain: () => void;
}

function Working({ item, state, store, before, onAgain }: WorkingProps): VNode {
  const { work, id } = item;
  const now = useClock(work.kind === 'running');
  const megapixels = useMegapixels(before);
  const { label, share } = progressOf(item, now);
  const stopped = work.kind === 'stopped';
  const seconds = megapixels === null || stopped ? null : estimateSeconds(megapixels, item, state.offer);
  const early = work.kind === 'waiting' || (work.kind === 'running' && work.activity.kind !== 'tiles');
  return (
    <div class="working" data-testid="working" data-control>
      <div class="working-text">
        <strong data-testid="working-title">{label}</strong>
        {seconds !== null && early ? <span data-testid="estimate">{text.work.about(seconds)}</span> : null}
      </div>
      {stopped ? null : <progress max="1" value={share ?? 0} aria-label={label} />}
      {stopped ? (
        <button type="button" class="button" data-testid="retry" onClick={onAgain}>
          {text.failure.retry}
        </button>
      ) : (
        <button
          type="button"
          class="button quiet"
          data-testid="cancel"
          onClick={() => store.dispatch({ kind: 'stopped', id })}
        >
          {text.work.cancel}
        </button>
      )}
    </div>
  );
}

/** Of the photo as the browser shows it; null until it is loaded, or when it cannot be shown. */
function useMegapixels(url: string | null): number | null {
  const [megapixels, setMegapixels] = useState<number | null>(null);
  useEffect(() => {
    if (url === null) return;
    const image = new Image();
    image.addEventListener('load', () => setMegapixels((image.naturalWidth * image.naturalHeight) / 1e6));
    image.src = url;
  }, [url]);
  return megapixels;
}

/** An example is an item that is finished already; nothing is uploaded. */
async function openExample({ id, before, after }: Example, store: Store): Promise<void> {
  const [source, picture] = await Promise.all([before, after].map(async (url) => (await fetch(url)).blob()));
  if (source === undefined || picture === undefined) return;
  const item = newItem(`${text.examples.names[id] ?? id}.jpg`, source, store.state.settings);
  const stored = {
    model: null,
    placement: null,
    engine: null,
    cache: null,
    link: null,
    scale: null,
    change: null,
    verdict: null,
  } as const;
  store.dispatch({
    kind: 'added',
    items: [{ ...item, work: { kind: 'done', outcome: { picture, milliseconds: 0, notes: [], ...stored } } }],
  });
}
