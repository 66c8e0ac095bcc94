/** What is going on, how far it is, how long it has taken, and the way out. */
import { formatBytes } from '../format.ts';
import type { Activity, Photo, State } from '../state.ts';
import { byId, show } from './dom.ts';

const ENGINES = { webgpu: 'WebGPU', wasm: 'WebAssembly' } as const;

export class WorkingView {
  readonly #panel = byId('working', HTMLElement);
  readonly #title = byId('working-title', HTMLElement);
  readonly #detail = byId('working-detail', HTMLElement);
  readonly #time = byId('working-time', HTMLElement);
  readonly #progress = byId('progress', HTMLProgressElement);
  #clock: ReturnType<typeof setInterval> | undefined;
  #run = 0;

  constructor(onCancel: () => void) {
    byId('cancel', HTMLButtonElement).addEventListener('click', onCancel);
  }

  render({ phase, run }: State): void {
    const working = phase.kind === 'working';
    show(this.#panel, working);
    if (!working) return this.#stopClock();
    if (run !== this.#run) this.#startClock(run);
    const { title, detail, done, total } = describe(phase.activity, phase.photo);
    this.#title.textContent = title;
    this.#detail.textContent = detail;
    if (total > 0) {
      this.#progress.max = total;
      this.#progress.value = done;
    } else {
      this.#progress.removeAttribute('value');
    }
  }

  #startClock(run: number): void {
    this.#stopClock();
    this.#run = run;
    const started = performance.now();
    const tick = (): void => {
      const seconds = Math.floor((performance.now() - started) / 1000);
      this.#time.textContent = seconds === 0 ? '' : `${seconds} s`;
    };
    tick();
    this.#clock = setInterval(tick, 1000);
  }

  #stopClock(): void {
    clearInterval(this.#clock);
    this.#run = 0;
  }
}

interface Description {
  readonly title: string;
  readonly detail: string;
  readonly done: number;
  /** Zero when there is no knowing. */
  readonly total: number;
}

/** The activity in words, and as a fraction where there is one. */
export function describe(activity: Activity, photo: Photo): Description {
  const endless = { done: 0, total: 0 };
  switch (activity.kind) {
    case 'sending':
      return {
        title: 'Restoring',
        detail: `Sending ${formatBytes(photo.file.size)} and waiting for the result`,
        ...endless,
      };
    case 'queued':
      return { title: 'Still restoring', detail: 'A large picture, or many before it', ...endless };
    case 'waiting': {
      const { reason, seconds, attempt } = activity;
      const detail = `${reason}; asking again in ${seconds} s (try ${attempt + 1})`;
      return { title: 'Still restoring', detail, ...endless };
    }
    case 'model': {
      const { done, total } = activity;
      const detail = total === 0 ? 'Reading the picture' : `${formatBytes(done)} of ${formatBytes(total)}`;
      return { title: total === 0 ? 'Getting ready' : 'Fetching the model', detail, done, total };
    }
    case 'starting':
      return { title: 'Getting ready', detail: `Starting ${ENGINES[activity.provider]}`, ...endless };
    case 'tiles': {
      const { done, total } = activity;
      return { title: 'Restoring', detail: `Tile ${Math.min(done + 1, total)} of ${total}`, done, total };
    }
    case 'writing':
      return { title: 'Nearly there', detail: 'Writing the picture', ...endless };
  }
}
