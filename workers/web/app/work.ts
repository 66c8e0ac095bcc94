/** Runs what waits, two photos at a time, and stops what the person stops. */
import type { Item } from './item.ts';
import { ownFailure, RestoreError, type Failure, type Outcome } from './item.ts';
import { isActive, type RunEvent } from './state.ts';
import type { Store } from './store.ts';

const AT_A_TIME = 2;

export interface Run {
  readonly item: Item;
  readonly signal: AbortSignal;
  readonly report: (event: RunEvent) => void;
}

/** Restores one item. Rejects with a RestoreError, or with the signal's reason. */
export type Restore = (run: Run) => Promise<Outcome>;

export class Workshop {
  readonly #store: Store;
  readonly #restore: Restore;
  readonly #running = new Map<string, AbortController>();

  constructor(store: Store, restore: Restore) {
    this.#store = store;
    this.#restore = restore;
    store.subscribe(() => this.update());
  }

  /** Stops what is no longer wanted and starts what waits. */
  update(): void {
    const { items } = this.#store.state;
    const wanted = new Set(items.filter(isActive).map(keyOf));
    for (const [key, controller] of this.#running) if (!wanted.has(key)) this.#stop(key, controller);
    // Oldest first: they were chosen first.
    for (const item of items.filter(isActive).toReversed()) {
      if (this.#running.size >= AT_A_TIME) return;
      if (!this.#running.has(keyOf(item))) void this.#start(item);
    }
  }

  #stop(key: string, controller: AbortController): void {
    this.#running.delete(key);
    controller.abort(new DOMException('The person stopped it.', 'AbortError'));
  }

  async #start(item: Item): Promise<void> {
    const key = keyOf(item);
    const controller = new AbortController();
    this.#running.set(key, controller);
    const { id, run } = item;
    const report = (event: RunEvent): void => this.#store.dispatch({ ...event, id, run });
    if (item.work.kind === 'waiting') report({ kind: 'began', at: Date.now() });
    try {
      report({ kind: 'finished', outcome: await this.#restore({ item, signal: controller.signal, report }) });
    } catch (error) {
      if (!controller.signal.aborted) report({ kind: 'failed', failure: failureOf(error) });
    } finally {
      this.#running.delete(key);
      this.update();
    }
  }
}

const keyOf = ({ id, run }: Item): string => `${id} ${run}`;

function failureOf(error: unknown): Failure {
  if (error instanceof RestoreError) return error.failure;
  console.error(error);
  return ownFailure('page_failed', true);
}
