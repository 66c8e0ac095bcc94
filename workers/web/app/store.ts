/** The one place that holds the state. Listeners are told after every change, with the state before it. */
import { initialState, reduce, type Action, type State } from './state.ts';
import type { Settings } from './settings.ts';

type Listener = (state: State, before: State) => void;

export class Store {
  #state: State;
  readonly #listeners = new Set<Listener>();

  constructor(settings: Settings) {
    this.#state = initialState(settings);
  }

  get state(): State {
    return this.#state;
  }

  readonly dispatch = (action: Action): void => {
    const before = this.#state;
    this.#state = reduce(before, action);
    if (this.#state !== before) for (const listener of this.#listeners) listener(this.#state, before);
  };

  /** Returns how to end the subscription. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
