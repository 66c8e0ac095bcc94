/** A placement whose outcomes are counted. */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import type { RestoreReport } from '@deblur/shared/protocol/runner-api.ts';
import type { EncodingTask, PartHealth, RestorationTask, Restorer } from '../runners/ports.ts';
import type { Placement } from '../results/stored-result.ts';
import type { Counts } from './ports.ts';

export class CountedRestorer implements Restorer {
  readonly #restorer: Restorer;
  readonly #placement: Placement;
  readonly #stats: Counts;

  constructor(restorer: Restorer, placement: Placement, stats: Counts) {
    this.#restorer = restorer;
    this.#placement = placement;
    this.#stats = stats;
  }

  async restore(task: RestorationTask): Promise<RestoreReport> {
    const started = Date.now();
    const report = await this.#counted('deblur_restorations_total', this.#restorer.restore(task));
    const labels = { placement: this.#placement };
    this.#stats.count('deblur_restoration_seconds_total', labels, (Date.now() - started) / 1000);
    return report;
  }

  encode(task: EncodingTask): Promise<void> {
    return this.#counted('deblur_encodings_total', this.#restorer.encode(task));
  }

  health(): Promise<PartHealth> {
    return this.#restorer.health();
  }

  async #counted<T>(name: 'deblur_restorations_total' | 'deblur_encodings_total', work: Promise<T>): Promise<T> {
    const placement = this.#placement;
    try {
      const done = await work;
      this.#stats.count(name, { placement, outcome: 'succeeded' });
      return done;
    } catch (error) {
      this.#stats.count(name, { placement, outcome: error instanceof DeblurError ? error.code : 'internal' });
      throw error;
    }
  }
}
