/** The file that came out: its name, how it came about, and the ways on. */
import { formatBytes, formatName, formatSeconds, resultName } from '../format.ts';
import { isStale, type CacheState, type Outcome, type State } from '../state.ts';
import { BlobUrl, byId, setText, show } from './dom.ts';

const CACHE_TEXTS: Readonly<Record<CacheState, string>> = {
  hit: 'Hit, restored earlier',
  miss: 'Miss, restored now',
  coalesced: 'Shared with the same request',
};

export interface ResultActions {
  readonly onRepeat: () => void;
  readonly onAnother: () => void;
}

export class ResultView {
  readonly #panel = byId('result', HTMLElement);
  readonly #name = byId('result-name', HTMLElement);
  readonly #size = byId('result-size', HTMLElement);
  readonly #model = byId('fact-model', HTMLElement);
  readonly #modelVersion = byId('fact-model-version', HTMLElement);
  readonly #placement = byId('fact-placement', HTMLElement);
  readonly #cacheRow = byId('fact-cache-row', HTMLElement);
  readonly #cache = byId('fact-cache', HTMLElement);
  readonly #time = byId('fact-time', HTMLElement);
  readonly #download = byId('download', HTMLAnchorElement);
  readonly #link = byId('link', HTMLAnchorElement);
  readonly #repeat = byId('repeat', HTMLButtonElement);
  readonly #notes = byId('notes', HTMLElement);
  readonly #url = new BlobUrl();

  constructor({ onRepeat, onAnother }: ResultActions) {
    this.#repeat.addEventListener('click', onRepeat);
    byId('another', HTMLButtonElement).addEventListener('click', onAnother);
  }

  render(state: State): void {
    const { phase } = state;
    show(this.#panel, phase.kind === 'done');
    if (phase.kind !== 'done') return this.#url.release();
    const { outcome, photo } = phase;
    const name = resultName(photo.name, outcome.picture.type);
    setText(this.#name, name);
    setText(
      this.#size,
      `${formatBytes(photo.file.size)} → ${formatBytes(outcome.picture.size)} ${formatName(outcome.picture.type)}`,
    );
    this.#renderFacts(outcome);
    this.#download.href = this.#url.of(outcome.picture);
    this.#download.download = name;
    show(this.#link, outcome.link !== null);
    if (outcome.link !== null) this.#link.href = outcome.link;
    show(this.#repeat, isStale(state));
    this.#renderNotes(outcome.notes);
  }

  #renderFacts(outcome: Outcome): void {
    const [name = '', version = ''] = outcome.model?.split('@') ?? [];
    this.#model.textContent = name === '' ? 'Not said' : name;
    setText(this.#modelVersion, version);
    this.#placement.textContent = placementText(outcome);
    show(this.#cacheRow, outcome.cache !== null);
    this.#cache.textContent = outcome.cache === null ? '' : CACHE_TEXTS[outcome.cache];
    this.#time.textContent = formatSeconds(outcome.milliseconds);
  }

  #renderNotes(notes: readonly string[]): void {
    show(this.#notes, notes.length > 0);
    this.#notes.replaceChildren(
      ...notes.map((note) => {
        const item = document.createElement('li');
        item.textContent = note;
        return item;
      }),
    );
  }
}

function placementText({ placement, engine }: Outcome): string {
  switch (placement) {
    case 'edge':
      return 'At the edge';
    case 'runner':
      return 'GPU runner';
    case 'device':
      return `This device, ${engine ?? 'WebAssembly'}`;
    case null:
      return 'Not said';
  }
}
