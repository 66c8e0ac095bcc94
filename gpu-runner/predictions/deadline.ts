/** The time that a prediction has, from its start; it may become longer when the picture is known. */
import { deadlineExceeded } from '@deblur/shared/protocol/errors.ts';
import type { Prediction } from './prediction.ts';

export class Deadline {
  readonly #prediction: Prediction;
  readonly #startedAt = performance.now();
  #seconds: number;
  #timer: NodeJS.Timeout;

  /** Aborts the prediction after so many seconds, unless it is cleared before. */
  constructor(prediction: Prediction, seconds: number) {
    this.#prediction = prediction;
    this.#seconds = seconds;
    this.#timer = this.#start();
  }

  /** @param seconds from the start; fewer than it has change nothing */
  extendTo(seconds: number): void {
    if (seconds <= this.#seconds || this.#prediction.signal.aborted) return;
    this.clear();
    this.#seconds = seconds;
    this.#timer = this.#start();
  }

  clear(): void {
    clearTimeout(this.#timer);
  }

  #start(): NodeJS.Timeout {
    const left = this.#seconds * 1000 - (performance.now() - this.#startedAt);
    return setTimeout(() => this.#prediction.abort(deadlineExceeded(Math.ceil(this.#seconds))), left);
  }
}
