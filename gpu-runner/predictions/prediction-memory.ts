/** Predictions by id: those that run, and for a short while those that are over, so that a retried PUT finds its answer. */
import { REMEMBERED_FOR_MS, REMEMBERED_OUTPUT_MAX_BYTES, REMEMBERED_PREDICTIONS } from '../limits.ts';
import type { Prediction } from './prediction.ts';

export class PredictionMemory {
  /** In order of creation. */
  readonly #byId = new Map<string, Prediction>();

  add(prediction: Prediction): void {
    this.#byId.delete(prediction.id);
    this.#byId.set(prediction.id, prediction);
  }

  get(id: string, now: number): Prediction | undefined {
    this.trim(now);
    return this.#byId.get(id);
  }

  get running(): readonly Prediction[] {
    return [...this.#byId.values()].filter(({ completedAt }) => completedAt === undefined);
  }

  /** Forgets what is over for too long, and the oldest of what is too much. Running ones stay. */
  trim(now: number): void {
    let count = 0;
    let bytes = 0;
    for (const prediction of [...this.#byId.values()].reverse()) {
      const { completedAt } = prediction;
      if (completedAt === undefined) continue;
      count++;
      bytes += prediction.file?.bytes.length ?? 0;
      const old = now - completedAt.getTime() > REMEMBERED_FOR_MS;
      // The newest is kept whatever its size: its own caller may be asking.
      const much = count > REMEMBERED_PREDICTIONS || (count > 1 && bytes > REMEMBERED_OUTPUT_MAX_BYTES);
      if (old || much) this.#byId.delete(prediction.id);
    }
  }
}
