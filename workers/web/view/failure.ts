/** What went wrong, and what can be done about it. */
import { deviceObstacle } from '../device/client.ts';
import { isStale, type State } from '../state.ts';
import { byId, setText, show } from './dom.ts';

export interface FailureActions {
  readonly onRetry: () => void;
  readonly onPlace: (onDevice: boolean) => void;
}

export class FailureView {
  readonly #panel = byId('failure', HTMLElement);
  readonly #file = byId('failure-file', HTMLElement);
  readonly #title = byId('failure-title', HTMLElement);
  readonly #detail = byId('failure-detail', HTMLElement);
  readonly #reference = byId('failure-reference', HTMLElement);
  readonly #retry = byId('retry', HTMLButtonElement);
  readonly #chooseOther = byId('choose-other', HTMLButtonElement);
  readonly #deviceInstead = byId('device-instead', HTMLButtonElement);
  readonly #serviceInstead = byId('service-instead', HTMLButtonElement);

  constructor({ onRetry, onPlace }: FailureActions) {
    this.#retry.addEventListener('click', onRetry);
    this.#deviceInstead.addEventListener('click', () => onPlace(true));
    this.#serviceInstead.addEventListener('click', () => onPlace(false));
  }

  render(state: State): void {
    const { phase } = state;
    const appears = phase.kind === 'failed' && this.#panel.hidden;
    show(this.#panel, phase.kind === 'failed');
    if (phase.kind !== 'failed') return;
    const { failure, photo, settings } = phase;
    setText(this.#file, photo.name);
    setText(this.#title, failure.title);
    setText(this.#detail, failure.detail);
    setText(this.#reference, [failure.code, failure.requestId].filter((part) => part !== null).join(' · '));
    const repeatable = failure.retryable || isStale(state);
    show(this.#retry, repeatable);
    this.#chooseOther.classList.toggle('primary', !repeatable);
    show(this.#serviceInstead, settings.onDevice);
    show(this.#deviceInstead, !settings.onDevice && failure.retryable && deviceObstacle() === null);
    // Read aloud from here, and the keyboard goes on to the buttons below.
    if (appears) this.#title.focus({ preventScroll: true });
  }
}
